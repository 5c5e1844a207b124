"""The secret side of a key exchange: one party's part in it, as a state machine.

No network, no clock, no files. The caller reads the log into a `Transcript`, and once more as
far as all parties have cosigned it; asks for the next message, **saves the state, and only then
posts**:

    posting = exchange.advance(seen, settled, ciphertexts)
    save(exchange.state())                        # sealed by the keystore
    post(posting)                                 # ciphertexts to the board, then the log

So a crash at any point does no harm: a message that may have been posted is in the state,
and is posted again as it was. A state that is older than the log is refused: going on from
it would sign a second message, for which its party is blamed.

Which key it will be is settled when the last commitment is in the log, and a share leaves
its party only after all others have cosigned the same commitments. Whoever then changes or
leaves out anything is named by `Transcript.blame`.
"""

import hmac
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NoReturn

from keys.combine import confirm_key, confirm_tag, linkage_secret
from keys.dsse import Signer, parse_envelope
from keys.errors import KeysError
from keys.messages import (
    CIPHERTEXT_BYTES,
    OPENING_BYTES,
    SHARE_BYTES,
    Commit,
    Confirm,
    Message,
    Posting,
    Seal,
    ShareComplaint,
    TagComplaint,
    message_digest,
    payload_type,
    sign_message,
)
from keys.posted import Posted
from keys.sealing import SECRET_BYTES as SEAL_SECRET_BYTES
from keys.sealing import SealKey, seal
from keys.terms import Terms
from keys.transcript import Transcript

_MAGIC = b"PADANEXCHANGE1"


class Exchange:
    """One party in one exchange: by `begin`, or by `resume` from a saved state.

    Shows nothing of itself when printed.
    """

    __slots__ = (
        "_commits_hash",
        "_made",
        "_opening",
        "_openings",
        "_party",
        "_seal_key",
        "_signer",
        "_terms",
    )

    def __init__(
        self, terms: Terms, party: str, signer: Signer, opening: bytearray, seal_key: SealKey
    ) -> None:
        self._terms, self._party, self._signer = terms, party, signer
        self._opening, self._seal_key = opening, seal_key
        self._openings = bytearray()  # of all parties, once all are open
        self._made: list[Posting] = []
        self._commits_hash = b""  # C, once all have confirmed

    @classmethod
    def begin(
        cls,
        terms: Terms,
        party: str,
        signer: Signer,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> "Exchange":
        """Return a party that has drawn its share and a seal key for this exchange.

        Args:
            terms: of the exchange, whose epoch this party never began before.
            party: which one of the terms.
            signer: signs with the key that the terms name.
            draw: returns as many random bytes as it is asked for.

        Raises:
            KeysError: not a party of the terms, or not its signer.
        """
        if party not in terms.parties:
            raise KeysError(f"{party} is no party of this agreement")
        opening, seal_key = bytearray(draw(OPENING_BYTES)), SealKey(draw(SEAL_SECRET_BYTES))
        exchange = cls(terms, party, signer, opening, seal_key)
        exchange._make(Commit(party, terms.commitment(party, opening), seal_key.public))
        return exchange

    @classmethod
    def resume(cls, state: bytes | bytearray, terms: Terms, signer: Signer) -> "Exchange":
        """Return the party that `state` was saved of.

        Raises:
            KeysError: a state of other terms, or not a state.
        """
        try:
            magic, digest, party, opening, openings, seal_secret, *made = _split(state)
            sealed, commit, *later = made
            exchange = cls(terms, party.decode(), signer, opening, SealKey(seal_secret))
        except (ValueError, struct.error) as error:
            raise KeysError("not the state of an exchange, or damaged") from error
        if magic != _MAGIC or digest != _digest_of(terms):
            raise KeysError("the state of an exchange of other terms, or of another version")
        exchange._openings = openings
        exchange._made = [Posting(parse_envelope(bytes(made))) for made in (commit, *later)]
        if later:
            seal_made = exchange._made[1].envelope
            ciphertexts = tuple(bytes(one) for one in _cut(sealed, CIPHERTEXT_BYTES))
            exchange._made[1] = Posting(seal_made, ciphertexts)
        _overwrite(seal_secret)
        return exchange

    def state(self) -> bytearray:
        """Return all that `resume` needs; secret, so the caller seals it before it is kept."""
        parts: list[bytes | bytearray] = [
            _MAGIC,
            _digest_of(self._terms),
            self._party.encode(),
            self._opening,
            self._openings,
            self._seal_key.secret(),
            b"".join(sealed for posting in self._made for sealed in posting.ciphertexts),
            *(posting.envelope.to_bytes() for posting in self._made),
        ]
        return bytearray().join(struct.pack(">I", len(part)) + part for part in parts)

    def __repr__(self) -> str:
        return f"Exchange({self._party!r}, ...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an exchange is saved by `state`, and that sealed")

    @property
    def done(self) -> bool:
        """Whether all parties have confirmed the key, so that it can be handed over."""
        return bool(self._commits_hash)

    def advance(
        self, seen: Transcript, settled: Transcript, ciphertexts: Iterable[bytes] = ()
    ) -> Posting | None:
        """Return what this party has to post now, or None: nothing, or others come first.

        Args:
            seen: what the log holds; whatever breaks the exchange is heard at once.
            settled: the part of it under checkpoints that all parties have cosigned; only on
                this a message is built, and the key handed over.
            ciphertexts: what the board has for `settled.sealed_for` this party; others
                are passed over.

        Raises:
            KeysError: a transcript is of another exchange, or holds a message of this party
                that this state has not made.
        """
        if seen.terms != self._terms or settled.terms != self._terms:
            raise KeysError("a transcript of another exchange")
        posted = seen.sent_by(self._party)
        if not posted <= {message_digest(made.envelope) for made in self._made}:
            raise KeysError(
                "the log holds a message of this party that its state has not made: the state "
                "is an old one. Withdraw (`padan agent rotate --withdraw`), and begin the next "
                "epoch"
            )
        if seen.broken:
            self.wipe()
        elif message_digest(self._made[-1].envelope) in posted:
            sealed = (one for one in ciphertexts if len(one) == CIPHERTEXT_BYTES)
            self._go_on(settled, {sha256(one).digest(): one for one in sealed})
        last = self._made[-1]
        if message_digest(last.envelope) in posted:
            return None
        # A broken exchange goes no further, but a complaint that was made is still heard.
        return None if seen.broken and not _is_abort(last) else last

    def linkage_secret(self) -> bytearray:
        """Hand over the secret of the linkage key, 32 bytes, and wipe what it was made of.

        The caller stores it before it deletes the saved state.

        Raises:
            KeysError: not all parties have confirmed it, or it was handed over.
        """
        if not self.done:
            raise KeysError("no key yet, or no more: it is handed over once, when all confirmed")
        shares = self._shares()
        secret = linkage_secret(shares, self._commits_hash)
        _overwrite(shares)
        self.wipe()
        return secret

    def wipe(self) -> None:
        """Overwrite all secrets, as far as Python allows; messages made are still posted."""
        _overwrite(self._opening)
        _overwrite(self._openings)
        self._opening, self._openings, self._commits_hash = bytearray(), bytearray(), b""
        self._seal_key.wipe()

    def _go_on(self, transcript: Transcript, ciphertexts: Mapping[bytes, bytes]) -> None:
        """Make the next message, if all that it builds on is there."""
        commits, seals, confirms = transcript.commits, transcript.seals, transcript.confirms
        if not self._opening:
            return  # wiped: the key was handed over
        if len(self._made) == 1 and commits:
            self._seal(commits)
        elif len(self._made) == 2 and commits and seals:
            wanted = transcript.sealed_for(self._party)
            if ciphertexts.keys() >= set(wanted.values()):
                sealed = {party: ciphertexts[digest] for party, digest in wanted.items()}
                self._open(commits, seals, sealed)
        elif len(self._made) == 3 and commits and seals and confirms:
            self._finish(commits, seals, confirms)

    def _seal(self, commits: Sequence[Posted[Commit]]) -> None:
        """Seal our share for all others."""
        named = tuple(commit.digest for commit in commits)
        commits_hash = self._terms.commits_hash(named)
        sealed = {}
        for commit in (one.message for one in commits if one.message.party != self._party):
            info = self._terms.share_info(self._party, commit.party, commits_hash)
            sealed[commit.party] = seal(commit.seal_key, self._opening, info)
        digests = {party: sha256(one).digest() for party, one in sealed.items()}
        self._make(Seal(self._party, named, digests), tuple(sealed.values()))

    def _open(
        self,
        commits: Sequence[Posted[Commit]],
        seals: Sequence[Posted[Seal]],
        sealed: Mapping[str, bytes],
    ) -> None:
        """Open what was sealed for us; confirm, or show a share that is wrong."""
        commits_hash = self._terms.commits_hash([commit.digest for commit in commits])
        openings = bytearray()
        for commit in (one.message for one in commits):
            if commit.party == self._party:
                openings += self._opening
                continue
            opening = self._opened(commit.party, sealed[commit.party], commits_hash)
            if self._terms.commitment(commit.party, opening) != commit.commitment:
                secret = bytes(self._seal_key.secret())
                shown = ShareComplaint(self._party, commit.party, sealed[commit.party], secret)
                return self._make(shown)
            openings += opening
        self._openings = openings
        named = tuple(one.digest for one in seals)
        return self._make(Confirm(self._party, named, self._tags(commits, seals)[self._party]))

    def _opened(self, sealer: str, sealed: bytes, commits_hash: bytes) -> bytearray:
        """Return what a party has sealed for us; nothing, which nobody commits to, if shut."""
        try:
            info = self._terms.share_info(sealer, self._party, commits_hash)
            return self._seal_key.open(sealed, info)
        except KeysError:
            return bytearray()

    def _finish(
        self,
        commits: Sequence[Posted[Commit]],
        seals: Sequence[Posted[Seal]],
        confirms: Sequence[Posted[Confirm]],
    ) -> None:
        """Find that all have the key, or open all shares to show who has not."""
        tags = self._tags(commits, seals)
        for confirm in (one.message for one in confirms):
            if not hmac.compare_digest(confirm.tag, tags[confirm.party]):
                openings = tuple(bytes(one) for one in _cut(self._openings, OPENING_BYTES))
                return self._make(TagComplaint(self._party, confirm.party, openings))
        self._commits_hash = self._terms.commits_hash([commit.digest for commit in commits])
        return None

    def _tags(
        self, commits: Sequence[Posted[Commit]], seals: Sequence[Posted[Seal]]
    ) -> dict[str, bytes]:
        """Return by which tag each party confirms this transcript."""
        commits_hash = self._terms.commits_hash([commit.digest for commit in commits])
        transcript_hash = self._terms.transcript_hash(commits_hash, [one.digest for one in seals])
        shares = self._shares()
        key = confirm_key(shares, commits_hash)
        tags = {party: confirm_tag(key, party, transcript_hash) for party in self._terms.names}
        _overwrite(shares)
        _overwrite(key)
        return tags

    def _make(self, message: Message, ciphertexts: tuple[bytes, ...] = ()) -> None:
        envelope = sign_message(self._terms, message, self._signer)
        self._made.append(Posting(envelope, ciphertexts))

    def _shares(self) -> bytearray:
        openings = _cut(self._openings, OPENING_BYTES)
        return bytearray().join(opening[:SHARE_BYTES] for opening in openings)


def _is_abort(posting: Posting) -> bool:
    return posting.envelope.payload_type == payload_type("abort")


def _digest_of(terms: Terms) -> bytes:
    parties = (part for name in terms.names for part in (name.encode(), terms.parties[name]))
    return sha256(terms.bound("padan/terms/v1", *parties)).digest()


def _cut(whole: bytearray, n_bytes: int) -> list[bytearray]:
    return [whole[at : at + n_bytes] for at in range(0, len(whole), n_bytes)]


def _overwrite(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))


def _split(state: bytes | bytearray) -> list[bytearray]:
    parts, at = [], 0
    while at < len(state):
        (length,) = struct.unpack_from(">I", state, at)
        parts.append(bytearray(state[at + 4 : at + 4 + length]))
        at += 4 + length
    if at != len(state):
        raise ValueError("it ends early")
    return parts
