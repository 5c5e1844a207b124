"""Handing the key of an epoch to an office of one's own party, and taking it there.

The secret is sealed to the office's enrolled seal key, about exactly this agreement, epoch,
party, office and exchange; the head office signs the digest. An office that opens what was
sealed for another, or for another epoch, gets nothing.
"""

from hashlib import sha256

from keys.combine import SECRET_BYTES
from keys.delegated import Delegation, read_delegation, sign_delegation
from keys.dsse import Envelope, Signer
from keys.errors import KeysError
from keys.messages import Posting
from keys.sealing import OVERHEAD_BYTES, SealKey, seal
from keys.terms import Terms


def delegate(
    terms: Terms,
    party: str,
    signer: Signer,
    office: str,
    seal_key: bytes,
    secret: bytearray,
    transcript_hash: bytes,
) -> Posting:
    """Return what a head office puts up to give the key of an epoch to an office.

    Args:
        terms: of the exchange that the key is from.
        party: the head office's.
        signer: the party's.
        office: the principal of the office.
        seal_key: its seal key, as the log has it enrolled.
        secret: what `Exchange.linkage_secret` handed over.
        transcript_hash: T of the exchange.

    Raises:
        KeysError: not the party's signer, not a seal key, or a secret of another length.
    """
    if len(secret) != SECRET_BYTES:
        raise KeysError(f"the secret of an epoch has {SECRET_BYTES} bytes, not {len(secret)}")
    digest = sha256(seal_key).digest()
    sealed = seal(seal_key, secret, _info(terms, party, office, digest, transcript_hash))
    made = Delegation(party, office, digest, transcript_hash, sha256(sealed).digest())
    return Posting(sign_delegation(terms, made, signer), (sealed,))


def open_delegation(
    terms: Terms,
    envelope: Envelope,
    ciphertext: bytes,
    seal_key: SealKey,
    office: str,
    transcript_hash: bytes,
) -> bytearray:
    """Return the secret of the linkage key that an office was given, 32 bytes.

    Args:
        terms: of the exchange, from the agreement as the log has it.
        envelope: the log's `epoch.delegate`.
        ciphertext: what the board has under its digest.
        seal_key: the office's.
        office: who opens.
        transcript_hash: T of the exchange, as the log shows it complete.

    Raises:
        KeysError: any of them does not belong to the others.
    """
    found = read_delegation(terms, envelope)
    if found.office != office:
        raise KeysError(f"a key for {found.office}, not for {office}")
    if found.transcript != transcript_hash:
        raise KeysError("a key of another exchange than the one that the log holds")
    if found.seal_key != sha256(seal_key.public).digest():
        raise KeysError("sealed to another key than this office's: ask for it again")
    if found.ciphertext != sha256(ciphertext).digest():
        raise KeysError("not the ciphertext that the head office signed: fetch it again")
    if len(ciphertext) != SECRET_BYTES + OVERHEAD_BYTES:
        raise KeysError("a sealed secret of another length")
    info = _info(terms, found.party, office, found.seal_key, transcript_hash)
    return seal_key.open(ciphertext, info)


def _info(terms: Terms, party: str, office: str, seal_key: bytes, transcript_hash: bytes) -> bytes:
    parts = (party.encode(), office.encode(), seal_key, transcript_hash)
    return terms.bound("padan/delegate/v1", *parts)
