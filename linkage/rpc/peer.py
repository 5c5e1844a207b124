"""Who is calling: from the client certificate, never from the message."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc.aio

from keys.errors import KeysError
from keys.identity import Identity, identity_in
from linkage.errors import DeniedError

# Tells whether an identity with a valid certificate takes part in this service.
Admits = Callable[[Identity], bool]
_REFUSED = "no certificate of a member of this service: enrol first, or use the right certificate"


@lru_cache(maxsize=1024)
def _identity_in(certificate: bytes) -> Identity:
    return identity_in(certificate)


def identity_of(context: grpc.aio.ServicerContext[Any, Any]) -> Identity:
    """Return the identity of the caller.

    Raises:
        DeniedError: the certificate names none, or more than one.
    """
    certificates = list(context.auth_context().get("x509_pem_cert", ()))
    if len(certificates) != 1:
        raise DeniedError("UNAUTHENTICATED", _REFUSED)
    try:
        return _identity_in(certificates[0])
    except KeysError as error:
        raise DeniedError("UNAUTHENTICATED", _REFUSED) from error


def party_of(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the name of the calling party; the guard has checked its role."""
    return identity_of(context).name
