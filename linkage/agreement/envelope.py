"""An agreement as a signed document, and whose signatures are under it."""

from collections.abc import Sequence

from keys.dsse import Envelope, Signer
from linkage.agreement.articles import Party
from linkage.agreement.model import Agreement, parse_agreement, sign_keys
from linkage.errors import MalformedMessageError
from linkage.log.tiles import MAX_ENTRY_BYTES

AGREEMENT_TYPE = "application/vnd.padan.agreement+json"
# Of a leaf without its envelope's payload and signatures, and of one signature; both rounded up.
_LEAF_BYTES = 1_024
_SIGNATURE_BYTES = 200


def sign_agreement(agreement: Agreement, signers: Sequence[Signer]) -> Envelope:
    """Return the envelope of an agreement, signed by some of its parties' keys.

    Raises:
        MalformedMessageError: a signer's key is not one that the agreement lists, or the
            agreement is too large for a leaf of the log.
    """
    check_size(agreement)
    envelope = Envelope(AGREEMENT_TYPE, agreement.to_bytes(), ())
    for signer in signers:
        envelope = add_signature(envelope, signer)
    return envelope


def add_signature(envelope: Envelope, signer: Signer) -> Envelope:
    """Return the envelope with one signature more; raises as `sign_agreement`."""
    agreement = agreement_in(envelope)
    listed = {key for party in agreement.parties for key in sign_keys(party)}
    if signer.key_id not in listed:
        raise MalformedMessageError(
            f"key {signer.key_id} is not listed in the agreement: sign with one of those under "
            "parties.sign_keys, or have it written there before anybody signs"
        )
    return envelope.with_signature(signer)


def agreement_in(envelope: Envelope) -> Agreement:
    """Return the agreement in an envelope; its signatures are not checked here.

    Raises:
        MalformedMessageError: the envelope is about something else, or malformed.
    """
    if envelope.payload_type != AGREEMENT_TYPE:
        raise MalformedMessageError("the envelope does not hold an agreement")
    return parse_agreement(envelope.payload)


def signed_by(agreement: Agreement, envelope: Envelope) -> tuple[Party, ...]:
    """Return the parties all of whose listed keys have signed, in the agreement's order."""
    keys = {party.id: sign_keys(party) for party in agreement.parties}
    every = {key: raw for of_party in keys.values() for key, raw in of_party.items()}
    good = envelope.signers(every)
    return tuple(party for party in agreement.parties if keys[party.id].keys() <= good)


def leaf_bytes(agreement: Agreement) -> int:
    """Return how long the leaf with all signatures is at most."""
    n_signatures = sum(len(party.sign_keys) for party in agreement.parties)
    payload = (len(agreement.to_bytes()) + 2) // 3 * 4
    return payload + n_signatures * _SIGNATURE_BYTES + _LEAF_BYTES


def check_size(agreement: Agreement) -> None:
    """Check that the agreement fits a leaf of the log.

    Raises:
        MalformedMessageError: it does not.
    """
    if (size := leaf_bytes(agreement)) > MAX_ENTRY_BYTES:
        raise MalformedMessageError(
            f"the agreement needs a leaf of {size:,} bytes and {MAX_ENTRY_BYTES:,} fit: shorten "
            "its texts, and name longer documents by their digest"
        )
