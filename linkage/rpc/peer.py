"""Who is calling: from the client certificate, never from the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import grpc.aio

from keys.errors import KeysError
from keys.identity import Identity, identity_in, key_digest
from linkage.errors import DeniedError

_REFUSED = "no certificate of a member of this service: enrol first, or use the right certificate"


@dataclass(frozen=True)
class Peer:
    """The other side of a connection.

    Attributes:
        identity: the one identity of its certificate.
        key: `key_digest` of the certificate.
    """

    identity: Identity
    key: str


# Tells whether somebody with a valid certificate takes part in this service now.
Admits = Callable[[Peer], bool]


@lru_cache(maxsize=1024)
def _peer_in(certificate: bytes) -> Peer:
    return Peer(identity_in(certificate), key_digest(certificate))


def peer_of(context: grpc.aio.ServicerContext[Any, Any]) -> Peer:
    """Return who is calling.

    Raises:
        DeniedError: the certificate names nobody, or more than one.
    """
    certificates = list(context.auth_context().get("x509_pem_cert", ()))
    if len(certificates) != 1:
        raise DeniedError("UNAUTHENTICATED", _REFUSED)
    try:
        return _peer_in(certificates[0])
    except KeysError as error:
        raise DeniedError("UNAUTHENTICATED", _REFUSED) from error


def party_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the name of the calling party, or of the party whose office calls.

    The guard has checked the role.
    """
    return peer_of(context).identity.party
