"""What the log says of an office that was given the key of an epoch (`epoch.delegate`).

The party's head office signs who got which key, sealed to which seal key, in which
ciphertext; the ciphertext itself is on the board until the office has it. All can read
this; the secret side is `keys.delegation`.
"""

import json
import re
from dataclasses import dataclass

from keys.canonical import to_bytes, to_json, to_text
from keys.dsse import Envelope, Signer, key_id_of, sign
from keys.errors import KeysError
from keys.terms import DIGEST_BYTES, Terms

PAYLOAD_TYPE = "application/vnd.padan.epoch.delegate+json"
_VERSION = 1
_PRINCIPAL = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True)
class Delegation:
    """One office and the key of one epoch.

    Attributes:
        party: the office's own, which signs.
        office: the principal, as its certificate names it.
        seal_key: SHA-256 of the seal key of the office, as the log has it enrolled.
        transcript: T of the exchange that the key is from.
        ciphertext: SHA-256 of the sealed key.
    """

    party: str
    office: str
    seal_key: bytes
    transcript: bytes
    ciphertext: bytes


def sign_delegation(terms: Terms, delegation: Delegation, signer: Signer) -> Envelope:
    """Return the envelope of a delegation.

    Raises:
        KeysError: not the party's signer, or a name that none can have.
    """
    if signer.key_id != key_id_of(terms.parties[delegation.party]):
        raise KeysError(f"not the key by which {delegation.party} signs in this agreement")
    envelope = sign(PAYLOAD_TYPE, _payload_of(terms, delegation), [signer])
    read_delegation(terms, envelope)
    return envelope


def read_delegation(terms: Terms, envelope: Envelope) -> Delegation:
    """Return the delegation in an envelope.

    Raises:
        KeysError: of another agreement or epoch, not signed by its party alone, or anything
            that `sign_delegation` would not write.
    """
    try:
        fields = json.loads(envelope.payload)
        delegation = Delegation(
            party=fields["party"],
            office=fields["office"],
            seal_key=to_bytes(fields["seal_key"], DIGEST_BYTES),
            transcript=to_bytes(fields["transcript"], DIGEST_BYTES),
            ciphertext=to_bytes(fields["ciphertext"], DIGEST_BYTES),
        )
        public = terms.parties[delegation.party]
        known = _PRINCIPAL.fullmatch(delegation.office) is not None
        again = _payload_of(terms, delegation)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise KeysError("not a delegation of a party of this agreement, or malformed") from error
    if not known or envelope.payload_type != PAYLOAD_TYPE or again != envelope.payload:
        raise KeysError("a delegation of another agreement or epoch, or in a second spelling")
    if len(envelope.signatures) != 1 or not envelope.signers({key_id_of(public): public}):
        raise KeysError(f"a delegation that is not signed by {delegation.party}, and by it alone")
    return delegation


def _payload_of(terms: Terms, delegation: Delegation) -> bytes:
    return to_json(
        {
            "agreement": terms.agreement_id,
            "agreement_digest": to_text(terms.agreement_digest),
            "ciphertext": to_text(delegation.ciphertext),
            "epoch": terms.epoch,
            "office": delegation.office,
            "party": delegation.party,
            "seal_key": to_text(delegation.seal_key),
            "transcript": to_text(delegation.transcript),
            "v": _VERSION,
        }
    )
