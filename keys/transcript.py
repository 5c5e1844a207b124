"""The transcript of a key exchange: its signed messages, how far it is, who is at fault.

Reads what stands in the match log, in whatever order it arrives, once or often: the same
messages make the same transcript. Nothing here is secret; parties, matcher and auditors
hold the same one. The secret side is `keys.exchange`.

    commit    counts when it is the only one of its party
    seal      counts when it also names the commits of all parties
    confirm   counts when it also names the seals of all parties

A message names others by their digests: a party that seals has seen all commitments, and
signs that it has. Each step has its time, and what comes later is refused. A second message
of one kind and party, or an abort, ends the exchange: its epoch gets no key, and the next
exchange has the next number.

Relies on one thing: what an honest party builds on, anybody finds in the log by the time
somebody is blamed. Agents see to it by building only on entries under checkpoints that
all parties of the agreement have cosigned.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from keys.blame import Blame, Fault, share_is_wrong, tag_is_wrong
from keys.dsse import Envelope
from keys.errors import KeysError
from keys.messages import (
    Abort,
    Commit,
    Confirm,
    Seal,
    ShareComplaint,
    TagComplaint,
    Withdrawal,
    read_message,
)
from keys.posted import Board, M, Posted
from keys.terms import Terms


class Step(IntEnum):
    """What an exchange waits for."""

    COMMIT = 1
    SEAL = 2
    CONFIRM = 3
    COMPLETE = 4
    """Nothing; but aborts count until its time is over."""


class Transcript:
    """What the log holds of one exchange.

    Args:
        terms: what its messages are bound to.
        opens: from when the steps count, in UTC: when the last party had committed, by the log,
            not when the first had, or one could begin while others sleep; now, if not all have.
        step_time: how long a step may take: commits count until one such time is over,
            seals until two are, confirms until three, aborts until four.
    """

    def __init__(self, terms: Terms, opens: datetime, step_time: timedelta) -> None:
        self.terms = terms
        self._opens, self._step_time = opens, step_time
        self._commits = Board[Commit]()
        self._seals = Board[Seal]()
        self._confirms = Board[Confirm]()
        self._aborts = Board[Abort]()

    def add(self, envelope: Envelope, at: datetime) -> None:
        """Take a message of the log; one that is there already changes nothing.

        Args:
            envelope: the message.
            at: the time of its log entry.

        Raises:
            KeysError: it is of another exchange, malformed, not signed by its party, or late.
        """
        message = read_message(self.terms, envelope)
        match message:
            case Commit():
                self._in_time(Step.COMMIT, at)
                self._commits.keep(message, envelope)
            case Seal():
                self._in_time(Step.SEAL, at)
                self._seals.keep(message, envelope)
            case Confirm():
                self._in_time(Step.CONFIRM, at)
                self._confirms.keep(message, envelope)
            case _:
                self._in_time(Step.COMPLETE, at)
                self._aborts.keep(message, envelope)

    def closes(self, step: Step) -> datetime:
        """Return when messages of a step count no more."""
        return self._opens + step * self._step_time

    @property
    def step(self) -> Step:
        """What is awaited, if the exchange is not broken."""
        if self.commits is None:
            return Step.COMMIT
        if self.seals is None:
            return Step.SEAL
        return Step.CONFIRM if self.confirms is None else Step.COMPLETE

    @property
    def broken(self) -> bool:
        """Whether this exchange gives no key; `blame` says who is at fault."""
        return bool(self._aborts or self._doubled())

    @property
    def commits(self) -> tuple[Posted[Commit], ...] | None:
        """The commits of all parties, in their order, once all are there."""
        return self._whole(self._commits, ())

    @property
    def seals(self) -> tuple[Posted[Seal], ...] | None:
        """The seals of all parties, in their order, once all are there."""
        return self._whole(self._seals, _digests(self.commits))

    @property
    def confirms(self) -> tuple[Posted[Confirm], ...] | None:
        """The confirms of all parties, in their order, once all are there."""
        return self._whole(self._confirms, _digests(self.seals))

    @property
    def commits_hash(self) -> bytes | None:
        """C, from when all have committed: with the shares, it makes the key."""
        named = _digests(self.commits)
        return None if named is None else self.terms.commits_hash(named)

    @property
    def hash(self) -> bytes | None:
        """T, from when all have sealed: the name of an exchange that was completed."""
        commits_hash, named = self.commits_hash, _digests(self.seals)
        if commits_hash is None or named is None:
            return None
        return self.terms.transcript_hash(commits_hash, named)

    def sent_by(self, party: str) -> frozenset[bytes]:
        """Return the digests of all messages of a party."""
        return frozenset(one.digest for board in self._boards() for one in board.of(party))

    def sealed_for(self, party: str) -> dict[str, bytes]:
        """Return the SHA-256 of the ciphertext that each other party has sealed for one.

        By these the board is asked for the ciphertexts.
        """
        return {
            posted.message.party: posted.message.sealed[party]
            for posted in self.seals or ()
            if posted.message.party != party
        }

    def blame(self, now: datetime) -> list[Blame]:
        """Return who is at fault, as far as it can be told by now.

        Who is shown to be at fault by signed messages comes before, and instead of, who is
        late: nobody need go on with an exchange that is broken.

        Args:
            now: time up to which the log was read.
        """
        # Of two aborts of one party neither is heard: they are its evidence against itself.
        aborts = [one for party in self.terms.names if (one := self._aborts.only(party))]
        judged = [blame for one in aborts if (blame := self._judged(one))]
        if proven := self._doubled() + judged:
            return proven
        if aborts:
            # About messages that are not there. By the end, they would be.
            if now < self.closes(Step.COMPLETE):
                return []
            return [Blame(one.message.party, Fault.STRAY, (one.envelope,)) for one in aborts]
        step = self.step
        return self._late(step) if step < Step.COMPLETE and now >= self.closes(step) else []

    def _in_time(self, step: Step, at: datetime) -> None:
        if at >= self.closes(step):
            raise KeysError(f"a message whose time is over: it counted before {self.closes(step)}")

    def _boards(self) -> tuple[Board[Commit], Board[Seal], Board[Confirm], Board[Abort]]:
        return self._commits, self._seals, self._confirms, self._aborts

    def _doubled(self) -> list[Blame]:
        """Return those who signed two messages of one kind."""
        return [
            Blame(party, Fault.EQUIVOCATION, tuple(posted.envelope for posted in board.of(party)))
            for board in self._boards()
            for party in self.terms.names
            if len(board.of(party)) > 1
        ]

    def _whole(
        self, board: Board[M], named: tuple[bytes, ...] | None
    ) -> tuple[Posted[M], ...] | None:
        """Return the messages of all parties, if each has one only, which names these."""
        found = [board.only(party) for party in self.terms.names]
        whole = tuple(one for one in found if one and _named_by(one.message) == named)
        return whole if len(whole) == len(found) else None

    def _late(self, step: Step) -> list[Blame]:
        """Return those of whom no message of a step counts."""
        named = ((), _digests(self.commits), _digests(self.seals))[step - 1]
        blamed = []
        for party in self.terms.names:
            posted = self._boards()[step - 1].only(party)
            if posted is None:
                blamed.append(Blame(party, Fault.ABSENT, ()))
            elif _named_by(posted.message) != named:
                blamed.append(Blame(party, Fault.STRAY, (posted.envelope,)))
        return blamed

    def _judged(self, abort: Posted[Abort]) -> Blame | None:
        """Return who is at fault in an abort, or None: what it is about is not here."""
        match abort.message:
            case Withdrawal(party):
                return Blame(party, Fault.WITHDRAWN, (abort.envelope,))
            case ShareComplaint() as complaint:
                return self._judged_share(complaint, abort.envelope)
            case TagComplaint() as complaint:
                return self._judged_tag(complaint, abort.envelope)

    def _judged_share(self, complaint: ShareComplaint, envelope: Envelope) -> Blame | None:
        ours, theirs = self._commits.only(complaint.party), self._commits.only(complaint.about)
        seal = self._seals.only(complaint.about)
        if not (ours and theirs and seal):
            return None
        # What the seal does not name, its maker may never have seen.
        for commit in (ours, theirs):
            if commit.digest not in seal.message.commits:
                return None
        evidence = (ours.envelope, theirs.envelope, seal.envelope, envelope)
        if share_is_wrong(self.terms, complaint, ours.message, theirs.message, seal.message):
            return Blame(complaint.about, Fault.WRONG_SHARE, evidence)
        return Blame(complaint.party, Fault.UNFOUNDED, evidence)

    def _judged_tag(self, complaint: TagComplaint, envelope: Envelope) -> Blame | None:
        commits, about = self.commits, complaint.about
        seal, confirm = self._seals.only(about), self._confirms.only(about)
        if not (commits and seal and confirm):
            return None
        # As above: its tag is over the commits that it has seen.
        if seal.message.commits != _digests(commits):
            return None
        evidence = (*(one.envelope for one in commits), seal.envelope, confirm.envelope, envelope)
        made = [one.message for one in commits]
        if tag_is_wrong(self.terms, complaint, made, seal.message.commits, confirm.message):
            return Blame(about, Fault.WRONG_TAG, evidence)
        return Blame(complaint.party, Fault.UNFOUNDED, evidence)


def _named_by(message: Commit | Seal | Confirm | Abort) -> tuple[bytes, ...]:
    """Return the messages that one builds on."""
    match message:
        case Seal():
            return message.commits
        case Confirm():
            return message.seals
        case _:
            return ()


def _digests(posted: Sequence[Posted[Any]] | None) -> tuple[bytes, ...] | None:
    return None if posted is None else tuple(one.digest for one in posted)
