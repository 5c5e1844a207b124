"""The messages of a key exchange: what each says, in its one spelling, and who said it.

Four kinds, each the payload of a DSSE envelope with exactly one signature, its party's:

    commit    "my share is fixed; seal to this key": a commitment, a seal key for one use
    seal      "I sealed my share for each of you": what was committed, digests of ciphertexts
    confirm   "I have the key": what was sealed, a tag
    abort     "it ends here": a complaint with all that its judge needs, or a withdrawal

Every message names agreement, digest of the agreement, epoch and party, and every one after
the first names those that it builds on by their digests. So none can be used in another place.

JSON as RFC 8785 writes it, base64 for bytes, no unknown members. Nothing here is secret, but
that a complaint opens what was secret until then.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from keys.canonical import to_bytes, to_json, to_text
from keys.combine import TAG_BYTES
from keys.dsse import Envelope, Signer, key_id_of, pae, sign
from keys.errors import KeysError
from keys.sealing import OVERHEAD_BYTES, PUBLIC_BYTES, check_public
from keys.sealing import SECRET_BYTES as SEAL_SECRET_BYTES
from keys.terms import DIGEST_BYTES, Terms

SHARE_BYTES = 32
OPENING_BYTES = 2 * SHARE_BYTES
"""A share and the random bytes that hide it in its commitment."""
CIPHERTEXT_BYTES = OPENING_BYTES + OVERHEAD_BYTES

_VERSION = 1
_TYPE = re.compile(r"application/vnd\.padan\.epoch\.(commit|seal|confirm|abort)\+json")


@dataclass(frozen=True)
class Commit:
    """A party's share is fixed.

    Attributes:
        party: whose it is.
        commitment: `Terms.commitment` of its opening, 32 bytes.
        seal_key: what the others seal their shares to, 1,216 bytes; for this exchange only.
    """

    party: str
    commitment: bytes
    seal_key: bytes


@dataclass(frozen=True)
class Seal:
    """A party has sealed its share for each other party.

    Attributes:
        party: whose share it is.
        commits: digests of the commits that it saw, in the order of the parties.
        sealed: SHA-256 of the ciphertext for each other party, by its name.
    """

    party: str
    commits: tuple[bytes, ...]
    sealed: Mapping[str, bytes]


@dataclass(frozen=True)
class Confirm:
    """A party has made the key, and found all shares right.

    Attributes:
        party: who.
        seals: digests of the seals that it opened, and of its own, in the order of the parties.
        tag: `combine.confirm_tag`, 32 bytes.
    """

    party: str
    seals: tuple[bytes, ...]
    tag: bytes


@dataclass(frozen=True)
class ShareComplaint:
    """A share that is not the committed one, shown to all.

    Attributes:
        party: who complains.
        about: who sealed it.
        ciphertext: as it was sealed, 1,200 bytes.
        seal_secret: the secret half of the complaining party's seal key, 96 bytes.
    """

    party: str
    about: str
    ciphertext: bytes
    seal_secret: bytes


@dataclass(frozen=True)
class TagComplaint:
    """A tag that the committed shares do not give, with all shares opened.

    Attributes:
        party: who complains.
        about: whose tag it is.
        openings: of all commitments, 64 bytes each, in the order of the parties.
    """

    party: str
    about: str
    openings: tuple[bytes, ...]


@dataclass(frozen=True)
class Withdrawal:
    """A party ends the exchange and blames nobody, for instance because it lost its state."""

    party: str


Abort: TypeAlias = ShareComplaint | TagComplaint | Withdrawal
Message: TypeAlias = Commit | Seal | Confirm | Abort


@dataclass(frozen=True)
class Posting:
    """What somebody puts up for all others.

    Attributes:
        envelope: the message, for the log.
        ciphertexts: what it seals, for the board, each to be had there by its SHA-256 until
            the exchange is over. Not for the log, which never forgets.
    """

    envelope: Envelope
    ciphertexts: tuple[bytes, ...] = ()


def payload_type(kind: str) -> str:
    """Return what envelopes of a kind say that they hold."""
    return f"application/vnd.padan.epoch.{kind}+json"


def kind_of(message: Message) -> str:
    """Return commit, seal, confirm or abort: the second word of its log entry's type."""
    match message:
        case Commit():
            return "commit"
        case Seal():
            return "seal"
        case Confirm():
            return "confirm"
        case _:
            return "abort"


def sign_message(terms: Terms, message: Message, signer: Signer) -> Envelope:
    """Return the envelope of a message.

    Raises:
        KeysError: the signer has another key than the terms say.
    """
    if signer.key_id != key_id_of(terms.parties[message.party]):
        raise KeysError(f"this is not the key by which {message.party} signs in this agreement")
    return sign(payload_type(kind_of(message)), _payload_of(terms, message), [signer])


def read_message(terms: Terms, envelope: Envelope) -> Message:
    """Return the message in an envelope.

    Raises:
        KeysError: it is of another exchange, not signed by its party alone, or anything
            that `sign_message` would not write.
    """
    kind = _TYPE.fullmatch(envelope.payload_type)
    if kind is None:
        raise KeysError("not a message of a key exchange")
    try:
        fields = json.loads(envelope.payload)
        party = fields["party"]
        public = terms.parties[party]
        common = _common(terms, party)
        if {name: fields.pop(name) for name in common} != common:
            raise KeysError("a message of another agreement, epoch or version")
        message = _read_own(terms, kind[1], party, fields)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise KeysError("not a message of a party of this agreement, or malformed") from error
    if _payload_of(terms, message) != envelope.payload:
        raise KeysError(f"a {kind[1]} of {party} in a second spelling")
    if len(envelope.signatures) != 1 or not envelope.signers({key_id_of(public): public}):
        raise KeysError(f"a {kind[1]} that is not signed by {party}, and by it alone")
    return message


def check_sealed(message: Seal, ciphertexts: Iterable[bytes]) -> None:
    """Check that there are all ciphertexts that a seal names.

    A board takes a seal only with them: its log entry then says that they can be had.

    Raises:
        KeysError: one is missing, or has another length than a sealed share.
    """
    there = {sha256(one).digest() for one in ciphertexts if len(one) == CIPHERTEXT_BYTES}
    if missing := [name for name, digest in message.sealed.items() if digest not in there]:
        raise KeysError(f"{message.party} sealed no share for {', '.join(missing)}")


def message_digest(envelope: Envelope) -> bytes:
    """Return the name of a message: of what is signed, whatever its signature looks like."""
    return sha256(pae(envelope.payload_type, envelope.payload)).digest()


def _payload_of(terms: Terms, message: Message) -> bytes:
    return to_json(_common(terms, message.party) | _own_fields(message))


def _common(terms: Terms, party: str) -> dict[str, object]:
    return {
        "agreement": terms.agreement_id,
        "agreement_digest": to_text(terms.agreement_digest),
        "epoch": terms.epoch,
        "party": party,
        "v": _VERSION,
    }


def _own_fields(message: Message) -> dict[str, object]:
    match message:
        case Commit():
            return {
                "commitment": to_text(message.commitment),
                "seal_key": to_text(message.seal_key),
            }
        case Seal():
            return {
                "commits": [to_text(digest) for digest in message.commits],
                "sealed": {party: to_text(digest) for party, digest in message.sealed.items()},
            }
        case Confirm():
            return {
                "seals": [to_text(digest) for digest in message.seals],
                "tag": to_text(message.tag),
            }
        case ShareComplaint():
            return {
                "about": message.about,
                "ciphertext": to_text(message.ciphertext),
                "reason": "share",
                "seal_secret": to_text(message.seal_secret),
            }
        case TagComplaint():
            return {
                "about": message.about,
                "openings": [to_text(opening) for opening in message.openings],
                "reason": "tag",
            }
        case Withdrawal():
            return {"reason": "withdrawn"}


def _read_own(terms: Terms, kind: str, party: str, own: Mapping[str, object]) -> Message:
    """Return the message of some members; what there is beside them shows when it is written."""
    others = [name for name in terms.names if name != party]
    match kind, own.get("reason"):
        case "commit", _:
            public = to_bytes(own["seal_key"], PUBLIC_BYTES)
            check_public(public)
            return Commit(party, to_bytes(own["commitment"], DIGEST_BYTES), public)
        case "seal", _:
            sealed = own["sealed"]
            if not isinstance(sealed, dict) or list(sealed) != others:
                raise ValueError("sealed for others than the other parties")
            digests = {name: to_bytes(digest, DIGEST_BYTES) for name, digest in sealed.items()}
            return Seal(party, _each(terms, own["commits"], DIGEST_BYTES), digests)
        case "confirm", _:
            seals = _each(terms, own["seals"], DIGEST_BYTES)
            return Confirm(party, seals, to_bytes(own["tag"], TAG_BYTES))
        case _, "withdrawn":
            return Withdrawal(party)
    about = own["about"]
    if not isinstance(about, str) or about not in others:
        raise ValueError("a complaint about nobody else")
    if own["reason"] == "share":
        ciphertext = to_bytes(own["ciphertext"], CIPHERTEXT_BYTES)
        return ShareComplaint(
            party, about, ciphertext, to_bytes(own["seal_secret"], SEAL_SECRET_BYTES)
        )
    return TagComplaint(party, about, _each(terms, own["openings"], OPENING_BYTES))


def _each(terms: Terms, value: object, n_bytes: int) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) != len(terms.parties):
        raise ValueError("not one for each party")
    return tuple(to_bytes(one, n_bytes) for one in value)
