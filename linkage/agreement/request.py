"""Signed requests: that this caller asked for this, of this log, now, and only once.

    {"v":1, "aud":origin, "method":name, "agreement":digest, "epoch":n, "id":UUIDv7,
     "iat":seconds, "exp":seconds, "body":digest, "seen":{"size":n, "root":hex}}

The body is the message that comes with the request, by its SHA-256. What was seen of the log
travels along: a matcher that shows two callers two histories gets both in writing.

Whoever takes requests keeps, for each caller and id, the digest of the first one until it has
expired: `check_repeat`.

Source: RFC 9562 for the id (version 7).
"""

import hashlib
import re
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from keys.dsse import Envelope, Signer, sign
from linkage.agreement.denial import DENIALS
from linkage.agreement.principals import Principal
from linkage.agreement.values import Digest, Origin, Strict
from linkage.errors import DeniedError, MalformedMessageError
from linkage.log.canonical import format_json, parse_json

REQUEST_TYPE = "application/vnd.padan.request+json"
LONGEST = timedelta(minutes=5)
SKEW = timedelta(seconds=30)
RANDOM_BYTES = 10
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_Seconds = Annotated[int, Field(ge=0, le=2**40)]


class Seen(Strict):
    """The last checkpoint that the caller has verified.

    Attributes:
        size: number of entries.
        root: root hash, in hexadecimal.
    """

    size: Annotated[int, Field(ge=0, le=2**53 - 1)]
    root: Digest


class SignedRequest(Strict):
    """What a caller signs.

    Attributes:
        v: version of the form.
        aud: origin of the log of the service that is asked.
        method: full name of the remote procedure, such as `/linkage.v1.Jobs/Submit`.
        agreement: digest of the version of the agreement that is meant.
        epoch: number of the linkage key.
        id: a UUID of version 7, drawn for this request.
        iat: when it was signed, seconds since 1970.
        exp: until when it counts, at most five minutes later.
        body: SHA-256 of the message.
        seen: what the caller has seen of the log.
    """

    v: Literal[1] = 1
    aud: Origin
    method: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
    agreement: Digest
    epoch: Annotated[int, Field(ge=0, lt=2**32)]
    id: Annotated[str, Field(pattern=rf"^{_ID.pattern}$")]
    iat: _Seconds
    exp: _Seconds
    body: Digest
    seen: Seen

    def to_bytes(self) -> bytes:
        """Return the canonical JSON: what is signed."""
        return format_json(self.model_dump(mode="json"))


def request_id(time: datetime, drawn: bytes) -> str:
    """Return a UUID of version 7 (RFC 9562, section 5.7).

    Args:
        time: now.
        drawn: 10 random bytes.
    """
    if len(drawn) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed")
    milliseconds = int(time.timestamp() * 1_000) & (1 << 48) - 1
    number = bytearray(milliseconds.to_bytes(6, "big") + drawn)
    number[6] = number[6] & 0x0F | 0x70
    number[8] = number[8] & 0x3F | 0x80
    text = number.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def sign_request(request: SignedRequest, signer: Signer) -> Envelope:
    """Return the envelope of a request."""
    return sign(REQUEST_TYPE, request.to_bytes(), [signer])


def parse_request(envelope: Envelope) -> SignedRequest:
    """Return the request in an envelope; its signature is not checked here.

    Raises:
        MalformedMessageError: it is of another type, or not what `to_bytes` would write.
    """
    if envelope.payload_type != REQUEST_TYPE:
        raise MalformedMessageError("the envelope does not hold a request")
    parse_json(envelope.payload)
    try:
        request = SignedRequest.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise MalformedMessageError("not a request") from error
    if request.to_bytes() != envelope.payload:
        raise MalformedMessageError("a request in a second spelling")
    return request


def check_request(
    envelope: Envelope,
    caller: Principal,
    audience: str,
    method: str,
    body: bytes,
    now: datetime,
) -> SignedRequest:
    """Return the request in an envelope, if it counts here and now.

    Whether what it asks for is allowed is `decide`'s question.

    Args:
        envelope: what the caller signed.
        caller: who the caller is, by certificate and log.
        audience: origin of this service's log.
        method: what was called.
        body: the message that came with it.
        now: the time.

    Raises:
        DeniedError: with the code that says why it does not.
    """
    try:
        request = parse_request(envelope)
    except MalformedMessageError as error:
        raise _denied("REQUEST_MALFORMED") from error
    seconds, skew = now.timestamp(), SKEW.total_seconds()
    signed = envelope.signers(caller.sign_keys(now))
    for code, holds in (
        ("REQUEST_NOT_SIGNED", len(signed) == 1 == len(envelope.signatures)),
        ("REQUEST_OTHER_AUDIENCE", request.aud == audience),
        ("REQUEST_OTHER_METHOD", request.method == method),
        ("REQUEST_TOO_LONG", 0 < request.exp - request.iat <= LONGEST.total_seconds()),
        ("REQUEST_NOT_YET", request.iat <= seconds + skew),
        ("REQUEST_EXPIRED", seconds < request.exp + skew),
        ("REQUEST_OTHER_BODY", request.body == hashlib.sha256(body).hexdigest()),
    ):
        if not holds:
            raise _denied(code)
    return request


def check_repeat(first: bytes | None, envelope: Envelope) -> bool:
    """Return whether a request repeats an earlier one of its caller, and so gets its answer.

    Args:
        first: `request_digest` of the first one of this caller with this id; None for none.
        envelope: the request.

    Raises:
        DeniedError: the id was used for other bytes.
    """
    if first is not None and first != request_digest(envelope):
        raise _denied("REQUEST_REUSED")
    return first is not None


def request_digest(envelope: Envelope) -> bytes:
    """Return what stands for a request in a table of those seen: SHA-256 of what was signed."""
    return hashlib.sha256(envelope.payload).digest()


def keep_until(request: SignedRequest) -> int:
    """Return until when an id must be remembered, seconds since 1970."""
    return request.exp + int(SKEW.total_seconds()) + 1


def _denied(code: str) -> DeniedError:
    denial = DENIALS[code]
    return DeniedError(code, denial.en, [denial.rule])
