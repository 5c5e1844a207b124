"""A log, a board and honest parties, in memory, for the tests of the key exchange."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.dsse import Ed25519Signer, Envelope
from keys.exchange import Exchange
from keys.messages import Posting
from keys.terms import Terms
from keys.transcript import Transcript

OPENS = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SOON = OPENS + timedelta(hours=1)
NAMES = ("dukcapil", "imigrasi", "ahu", "kemenlu", "setneg", *(f"mitra-{n}" for n in range(15)))


def signer_of(party: str) -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.from_private_bytes(sha256(party.encode()).digest()))


def terms_of(n: int = 3, epoch: int = 1, agreement: str = "pks/2026-01") -> Terms:
    parties = {party: signer_of(party).public for party in NAMES[:n]}
    return Terms(agreement, sha256(agreement.encode()).digest(), epoch, parties)


def begun(terms: Terms, party: str, seed: int = 1) -> Exchange:
    """A party whose secrets follow from its name and a seed."""
    return Exchange.begin(terms, party, signer_of(party), drawing(party, seed))


def drawing(party: str, seed: int = 1) -> Callable[[int], bytes]:
    """What such a party draws: 64 bytes that open its commitment, 96 of its seal key."""
    return random.Random(f"{party} {seed}").randbytes


class World:
    """All parties of an exchange around one log.

    Attributes:
        log: envelopes in their order.
        board: ciphertexts.
        exchanges: of the honest parties, by their names.
    """

    def __init__(self, terms: Terms, seed: int = 1, absent: Sequence[str] = ()) -> None:
        self.terms = terms
        self._read, self._n_read = Transcript(terms, OPENS, DAY), 0
        self.log: list[Envelope] = []
        self.board: list[bytes] = []
        self.exchanges = {
            party: begun(terms, party, seed) for party in terms.names if party not in absent
        }

    def post(self, posting: Posting) -> None:
        self.board.extend(posting.ciphertexts)
        self.log.append(posting.envelope)

    def transcript(self) -> Transcript:
        """The one of whoever has read the log so far."""
        for envelope in self.log[self._n_read :]:
            self._read.add(envelope, SOON)
        self._n_read = len(self.log)
        return self._read

    def turn(self, party: str) -> Posting | None:
        """Let a party read the log and post what it has to."""
        seen = self.transcript()
        posting = self.exchanges[party].advance(seen, seen, self.board)
        if posting:
            self.post(posting)
        return posting

    def round(self) -> None:
        """One turn of each party; after n of them each has posted n messages."""
        for party in self.exchanges:
            self.turn(party)

    def run(self) -> None:
        """Turns until nobody has anything to post."""
        while [posting for party in self.exchanges if (posting := self.turn(party))]:
            pass
