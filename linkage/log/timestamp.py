"""Timestamps of an authority over a checkpoint: that the log was so long at that time.

All times in a log are its own word, but those of witnesses and these. A timestamp is over the text
of a checkpoint, which everybody can write again from the log, so a leaf of type `anchor` carries
all that is needed:

    {"size": 1234, "timestamp": base64 of the authority's response}

Source: RFC 3161. Checked by rfc3161-client (extra `anchors`).
"""

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509

from linkage.errors import ConfigError, MalformedMessageError, VerificationError
from linkage.log.canonical import JsonObject, decode_base64, encode_base64

MAX_RESPONSE_BYTES = 32_768


def load_authorities(pem: bytes, what: str) -> tuple[x509.Certificate, ...]:
    """Return the certificates of the authorities that timestamps are checked against.

    Args:
        pem: one or more certificates.
        what: where they are from, for the error.

    Raises:
        ConfigError: there are none.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise ConfigError(what, ["holds no certificates in PEM form"]) from error


def timestamp_query(message: bytes) -> bytes:
    """Return the request for a timestamp over a message, with a nonce; raises as `verify`."""
    library = _library()
    builder = library.TimestampRequestBuilder().data(message)
    request = builder.hash_algorithm(library.HashAlgorithm.SHA256).build()
    return bytes(request.as_bytes())


def verify_timestamp(
    response: bytes, message: bytes, authorities: Sequence[x509.Certificate]
) -> datetime:
    """Return the time that an authority gave a message.

    Args:
        response: the authority's response.
        message: what it is over.
        authorities: certificates, one of which has to have issued the signer's.

    Raises:
        VerificationError: the timestamp does not hold.
        ConfigError: the library is not installed.
    """
    library = _library()
    try:
        read = library.decode_timestamp_response(response)
        verifier = library.VerifierBuilder(roots=list(authorities)).build()
        verifier.verify_message(read, message)
        time: datetime = read.tst_info.gen_time
    except (library.VerificationError, ValueError) as error:
        raise VerificationError(f"a timestamp that does not hold: {error}") from error
    return time


def format_anchor(size: int, response: bytes) -> JsonObject:
    """Return the body of an `anchor` leaf.

    Raises:
        MalformedMessageError: the response is too long for a leaf.
    """
    if len(response) > MAX_RESPONSE_BYTES:
        raise MalformedMessageError(f"a timestamp of {len(response)} bytes does not fit a leaf")
    return {"size": size, "timestamp": encode_base64(response)}


def parse_anchor(body: JsonObject) -> tuple[int, bytes]:
    """Return size and response in the body of an `anchor` leaf.

    Raises:
        MalformedMessageError: it is in another form.
    """
    size, response = body.get("size"), body.get("timestamp")
    if body.keys() != {"size", "timestamp"} or type(size) is not int or size < 1:
        raise MalformedMessageError("an anchor without size and timestamp")
    if not isinstance(response, str):
        raise MalformedMessageError("an anchor without timestamp")
    return size, decode_base64(response)


def _library() -> Any:
    try:
        return importlib.import_module("rfc3161_client")
    except ImportError as error:
        problem = "rfc3161-client is not installed: pip install 'padan[anchors]'"
        raise ConfigError("timestamps", [problem]) from error
