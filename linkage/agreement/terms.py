"""What the messages of a key exchange are bound to, as an agreement has it."""

from datetime import timedelta

from keys.terms import Terms
from linkage.agreement.model import Agreement
from linkage.log.canonical import decode_base64

STEP_TIME = timedelta(days=3)
"""How long each step of an exchange may take: time for an office that works by day."""


def terms_of(agreement: Agreement, epoch: int) -> Terms:
    """Return the terms of the exchange for a key of an agreement.

    A party with several signing keys exchanges with the first.

    Args:
        agreement: the version in force.
        epoch: number of the key.
    """
    parties = {party.id: decode_base64(party.sign_keys[0]) for party in agreement.parties}
    return Terms(agreement.id, bytes.fromhex(agreement.digest()), epoch, parties)
