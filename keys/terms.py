"""What all messages of one key exchange are bound to, and the hashes that bind them.

Every hash starts with a label of its own, the digest and the id of the agreement, and the
epoch; every part has its length before it. So nothing that is made for one agreement,
epoch, party or recipient can stand for another.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from keys.combine import bound
from keys.errors import KeysError

MIN_PARTIES, MAX_PARTIES = 2, 20
DIGEST_BYTES = 32

_PUBLIC_BYTES = 32
_PARTY = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_AGREEMENT = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Terms:
    """What all messages of one exchange are bound to.

    Attributes:
        agreement_id: the agreement.
        agreement_digest: SHA-256 of the payload that its parties signed; it stands for all
            that they agreed upon, the schema and the purpose too.
        epoch: number of the key; a number that was begun is never used again.
        parties: Ed25519 public key of each party, by its name.

    Raises:
        KeysError: a part out of range, or two parties with one key.
    """

    agreement_id: str
    agreement_digest: bytes
    epoch: int
    parties: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if _AGREEMENT.fullmatch(self.agreement_id) is None:
            raise KeysError("an agreement id is 1 to 255 visible ASCII letters")
        if len(self.agreement_digest) != DIGEST_BYTES:
            raise KeysError("the digest of an agreement has 32 bytes")
        if not 0 < self.epoch < 2**32:
            raise KeysError("an epoch is a number from 1 to 2^32 - 1")
        if not MIN_PARTIES <= len(self.parties) <= MAX_PARTIES:
            raise KeysError(f"{len(self.parties)} parties; {MIN_PARTIES} to {MAX_PARTIES} exchange")
        if any(_PARTY.fullmatch(party) is None for party in self.parties):
            raise KeysError("the name of a party is 1 to 32 letters, digits and hyphens")
        if any(len(key) != _PUBLIC_BYTES for key in self.parties.values()):
            raise KeysError("a key that is no Ed25519 key of 32 bytes")
        if len(set(self.parties.values())) != len(self.parties):
            raise KeysError("two parties with one key")

    @property
    def names(self) -> tuple[str, ...]:
        """The parties in the order in which their shares and messages are put together."""
        return tuple(sorted(self.parties))

    def bound(self, label: str, *parts: bytes | bytearray) -> bytes:
        """Return a label and parts, bound to agreement and epoch."""
        epoch = struct.pack(">I", self.epoch)
        return bound(label, self.agreement_digest, self.agreement_id.encode(), epoch, *parts)

    def commitment(self, party: str, opening: bytes | bytearray) -> bytes:
        """Return what a party's share is committed to by, 32 bytes."""
        return sha256(self.bound("padan/commit/v1", party.encode(), opening)).digest()

    def commits_hash(self, commits: Sequence[bytes]) -> bytes:
        """Return C, the hash over the digests of all commits, in the order of `names`."""
        return sha256(self.bound("padan/commits/v1", *commits)).digest()

    def transcript_hash(self, commits_hash: bytes, seals: Sequence[bytes]) -> bytes:
        """Return T, the hash over C and the digests of all seals, in the order of `names`."""
        return sha256(self.bound("padan/transcript/v1", commits_hash, *seals)).digest()

    def share_info(self, sealer: str, recipient: str, commits_hash: bytes) -> bytes:
        """Return what a sealed share is about."""
        return self.bound("padan/share/v1", sealer.encode(), recipient.encode(), commits_hash)
