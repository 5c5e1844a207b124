"""Cosignatures of parties: what a result waits for before it is released.

A party that cosigns has a copy of the whole log and has checked that it grew out of what it saw
before. Under a checkpoint with the lines of all parties of a job none of them can be shown
another log later. The newest are kept on disk, for auditors whose trust file asks for witnesses;
what was released has its checkpoint in the database.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from keys.identity import Identity
from linkage.agreement.cosigners import cosigning_keys, has_cosigned
from linkage.agreement.principals import Principal
from linkage.agreement.witnesses import lines_missing, witnesses_needed
from linkage.errors import (
    DeniedError,
    MalformedMessageError,
    SignatureError,
    VerificationError,
)
from linkage.log.checkpoint import add_cosignatures, parse_checkpoint, verify_checkpoint
from linkage.log.note import Note, format_note, is_signed_by, parse_note, verified_signatures
from linkage.log.vkey import VerifierKey
from linkage.matcher.journal import Clock, time_of
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.store.cosigned_files import CosignedFiles

# While it holds, all parties cosign one checkpoint, though the log goes on. Where lines come late
# it lasts longer: else slow parties would cosign one checkpoint each, and none together.
_HOLD_S, _LONGEST_HOLD_S = 2.0, 10.0
_LINES_TIMED = 16
_KEPT = 64


class Cosignatures:
    """The checkpoints that parties cosign.

    Args:
        log: the published log.
        ledger: knows whose keys cosign.
        files: keep what is cosigned.
        clock: the matcher's clock.
        on_line: called when a line has come.
        monotonic: seconds that never go back.
    """

    def __init__(
        self,
        log: MatchLog,
        ledger: Ledger,
        files: CosignedFiles,
        clock: Clock,
        on_line: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._ledger, self._clock = log, ledger, clock
        self._files = files
        self._on_line, self._monotonic = on_line, monotonic
        # The note of each size with the lines so far, the newest last.
        self._notes = self._on_disk()
        self._held_since = -_HOLD_S
        # When each checkpoint's turn began, and how long after that the last lines came.
        self._began: dict[int, float] = {}
        self._late_s = deque[float](maxlen=_LINES_TIMED)
        self._lock = threading.Lock()

    def head(self) -> bytes:
        """Return the checkpoint that parties cosign now, with the lines so far."""
        now, newest = self._monotonic(), self._log.checkpoint()
        size = parse_checkpoint(parse_note(newest).text).size
        with self._lock:
            if size not in self._notes and self._may_move_on(now):
                self._notes[size] = newest
                self._held_since = self._began[size] = now
                self._forget_old()
            return self._notes[max(self._notes)]

    def before(self, size: int) -> bytes:
        """Return the newest checkpoint of fewer entries that a party has cosigned, or nothing."""
        for one, note in self._newest():
            if one < size and any(
                line.name != self._log.origin for line in parse_note(note).signatures
            ):
                return note
        return b""

    def add(self, identity: Identity, note: bytes) -> None:
        """Take the line of a party.

        Args:
            identity: who sends it.
            note: the checkpoint, with its line.

        Raises:
            DeniedError: the party has no key to cosign with.
            MalformedMessageError: the note is of no checkpoint that is cosigned now, or has
                no line of the party.
            UnavailableError: the disk takes no more.
        """
        party, now = self._principal(identity.party), time_of(self._clock)
        keys = cosigning_keys(party, now)
        if not keys:
            raise DeniedError(
                "NO_WITNESS_KEY", "no key to cosign with is enrolled: padan enrol rotate"
            )
        try:
            sent = parse_note(note)
            if not is_signed_by(sent, keys):
                raise MalformedMessageError("the checkpoint has no line of the caller's party")
            if not has_cosigned(sent, party, now):
                raise DeniedError(
                    "NO_WITNESS_KEY",
                    "the party has enrolled two keys to cosign with, and cosigned with one: name "
                    "both under [keys], witness and witness_ml_dsa",
                )
            size = parse_checkpoint(sent.text).size
            lines = note.partition(b"\n\n")[2]
            with self._lock:
                known = self._notes.get(size)
                if known is None or parse_note(known).text != sent.text:
                    raise MalformedMessageError("not a checkpoint that is cosigned now: ask again")
                cosigned = _with_newest_alone(add_cosignatures(known, lines, keys), keys)
                self._files.write(size, cosigned)
                self._notes[size] = cosigned
                # Lines sent again, or later than any turn lasts, say nothing of how long to hold.
                late_s = self._monotonic() - self._began.get(size, -math.inf)
                if late_s <= _LONGEST_HOLD_S and not is_signed_by(parse_note(known), keys):
                    self._late_s.append(late_s)
        except SignatureError as error:
            raise MalformedMessageError(str(error)) from error
        self._on_line()

    def complete(self, agreement_id: str, parties: Sequence[str], above: int) -> bytes | None:
        """Return a checkpoint with the lines of some parties, or of who stands in, or None.

        Args:
            agreement_id: the agreement, which says who stands in.
            parties: who has to have cosigned.
            above: index of a leaf that it has to cover.
        """
        for size, note in self._newest():
            if size > above and not self._missing(note, agreement_id, parties):
                return note
        return None

    def missing(self, agreement_id: str, parties: Sequence[str], above: int) -> tuple[str, ...]:
        """Return whose lines are missing under the newest checkpoint that covers a leaf."""
        for size, note in self._newest():
            if size > above:
                return self._missing(note, agreement_id, parties)
        needed = witnesses_needed(self._ledger.known, agreement_id, parties)
        return needed.missing(lambda _party: False)

    def _missing(self, note: bytes, agreement_id: str, parties: Sequence[str]) -> tuple[str, ...]:
        """Return whose lines a checkpoint lacks, by the keys that count now and by those it had.

        Agents judge it by what the log said under it, whenever they fetch: where keys came or
        went since, a later checkpoint has to be cosigned.
        """
        read = parse_note(note)
        if parse_checkpoint(read.text).size > self._ledger.known.size:
            self._ledger.refresh()
        state = self._ledger.known
        now = witnesses_needed(state, agreement_id, parties).missing(self._signed(note))
        return now or lines_missing(read, state, agreement_id, parties)

    def _newest(self) -> list[tuple[int, bytes]]:
        with self._lock:
            return sorted(self._notes.items(), reverse=True)

    def _forget_old(self) -> None:
        """Drop what is old, but not the newest line of anybody: who comes late asks for it."""
        newest = {
            (line.name, line.key_id): size
            for size, note in sorted(self._notes.items())
            for line in parse_note(note).signatures
        }
        for old in set(sorted(self._notes)[:-_KEPT]) - set(newest.values()):
            del self._notes[old]
            self._began.pop(old, None)
            self._files.remove(old)

    def _may_move_on(self, now: float) -> bool:
        """Return whether the next checkpoint may be cosigned: time is over, or all have."""
        hold_s = min(max(_HOLD_S, 2 * max(self._late_s, default=0.0)), _LONGEST_HOLD_S)
        if not self._notes or now >= self._held_since + hold_s:
            return True
        principals, at = self._ledger.known.principals.by_uri.values(), time_of(self._clock)
        parties = (one for one in principals if one.role == "party")
        witnesses = [one.party for one in parties if cosigning_keys(one, at)]
        return all(map(self._signed(self._notes[max(self._notes)]), witnesses))

    def _on_disk(self) -> dict[int, bytes]:
        """Return what is there and of this log; what is not goes, and is cosigned again."""
        notes = {}
        for size, note in self._files.read().items():
            try:
                head = verify_checkpoint(note, self._log.keys)
                whole = (head.size, head.root) == (size, self._log.root_at(size))
            except VerificationError:
                whole = False
            if whole:
                notes[size] = note
            else:
                self._files.remove(size)
        return notes

    def _signed(self, note: bytes) -> Callable[[str], bool]:
        """Return what says whether a party has cosigned a checkpoint."""
        read, now = parse_note(note), time_of(self._clock)
        return lambda party: has_cosigned(read, self._principal(party), now)

    def _principal(self, party: str) -> Principal | None:
        return self._ledger.known.principals.of_party(party)


def _with_newest_alone(data: bytes, keys: Sequence[VerifierKey]) -> bytes:
    """Return a checkpoint with the line of the newest key of each type of a party alone.

    However many keys a party has rotated, it takes up no room that others' lines need.

    Args:
        data: the checkpoint.
        keys: of the party, the newest last.
    """
    note = parse_note(data)
    signed = verified_signatures(note, keys)
    newest = {key.algorithm: key for key in keys if key in signed}
    dropped = {(key.name, key.key_id) for key in signed.keys() - set(newest.values())}
    lines = (one for one in note.signatures if (one.name, one.key_id) not in dropped)
    return format_note(Note(note.text, tuple(lines)))
