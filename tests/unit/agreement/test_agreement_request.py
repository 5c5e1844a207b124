"""Signed requests: what each denial is for, ids, and repeats."""

import hashlib
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agreement_world import LOG, START, seal_key, signer, usual
from hypothesis import given
from hypothesis import strategies as st

from keys.dsse import Envelope
from linkage.agreement.principals import Principal
from linkage.agreement.request import (
    REQUEST_TYPE,
    Seen,
    SignedRequest,
    check_repeat,
    check_request,
    keep_until,
    parse_request,
    request_digest,
    request_id,
    sign_request,
)
from linkage.errors import DeniedError, MalformedMessageError
from linkage.log.canonical import format_json

METHOD, BODY = "/linkage.v1.Jobs/Submit", b"message"
NOW = int(START.timestamp())


def request(**own: Any) -> SignedRequest:
    fields: dict[str, Any] = {
        "aud": LOG, "method": METHOD, "agreement": "ab" * 32, "epoch": 1,
        "id": request_id(START, bytes(10)), "iat": NOW, "exp": NOW + 300,
        "body": hashlib.sha256(BODY).hexdigest(), "seen": Seen(size=9, root="cd" * 32),
    }  # fmt: skip
    return SignedRequest(**{**fields, **own})


def caller() -> Principal:
    world, _ = usual()
    found = world.state.principals.of_party("imigrasi")
    assert found is not None
    return found


def denial(envelope: Envelope, **own: Any) -> str:
    fields: dict[str, Any] = {
        "caller": caller(), "audience": LOG, "method": METHOD, "body": BODY, "now": START,
    }  # fmt: skip
    try:
        check_request(envelope, **{**fields, **own})
    except DeniedError as error:
        return error.code if error.rules else "no rule"
    return "ALLOWED"


def signed(**own: Any) -> Envelope:
    return sign_request(request(**own), signer("party/imigrasi"))


def test_a_request_counts_here_now_and_for_its_message() -> None:
    assert denial(signed()) == "ALLOWED"
    assert parse_request(signed()) == request()


@pytest.mark.parametrize(
    ("own", "at", "code"),
    [
        ({"aud": "other.test/log"}, {}, "REQUEST_OTHER_AUDIENCE"),
        ({"method": "/linkage.v1.Jobs/Cancel"}, {}, "REQUEST_OTHER_METHOD"),
        ({"exp": NOW + 301}, {}, "REQUEST_TOO_LONG"),
        ({"exp": NOW}, {}, "REQUEST_TOO_LONG"),
        ({"iat": NOW + 31, "exp": NOW + 60}, {}, "REQUEST_NOT_YET"),
        ({"iat": NOW + 30, "exp": NOW + 60}, {}, "ALLOWED"),
        ({}, {"now": START + timedelta(seconds=330)}, "REQUEST_EXPIRED"),
        ({}, {"now": START + timedelta(seconds=329)}, "ALLOWED"),
        ({}, {"body": b"another"}, "REQUEST_OTHER_BODY"),
        ({}, {"audience": "other.test/log"}, "REQUEST_OTHER_AUDIENCE"),
        ({}, {"method": "/linkage.v1.Jobs/Cancel"}, "REQUEST_OTHER_METHOD"),
    ],
)
def test_what_does_not_fit_is_denied_by_name(
    own: dict[str, Any], at: dict[str, Any], code: str
) -> None:
    assert denial(signed(**own), **at) == code


def test_it_is_signed_by_the_caller_alone_with_a_key_that_counts() -> None:
    wanted = request()
    assert denial(sign_request(wanted, signer("party/dukcapil"))) == "REQUEST_NOT_SIGNED"
    both = signed().with_signature(signer("party/dukcapil"))
    assert denial(both) == "REQUEST_NOT_SIGNED"
    assert denial(Envelope(REQUEST_TYPE, wanted.to_bytes(), ())) == "REQUEST_NOT_SIGNED"
    key = signer("party/imigrasi").key_id
    revoked = caller()
    revoked = replace(revoked, keys={key: replace(revoked.keys[key], revoked=3)})
    assert denial(signed(), caller=revoked) == "REQUEST_NOT_SIGNED"
    assert denial(signed(), caller=replace(caller(), revoked=3)) == "REQUEST_NOT_SIGNED"


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[" * 100_000,
        request().to_bytes() + b" ",
        request().to_bytes().replace(b'"epoch":1', b'"epoch":true'),
        request().to_bytes().replace(b'"v":1', b'"v":2'),
        request().to_bytes().replace(b"-7000-", b"-4000-"),
        format_json({**request().model_dump(mode="json"), "extra": 1}),
        b'"\xff"',
    ],
)
def test_what_no_one_would_write_is_malformed(payload: bytes) -> None:
    envelope = Envelope(REQUEST_TYPE, payload, ())
    assert denial(envelope) == "REQUEST_MALFORMED"
    with pytest.raises(MalformedMessageError):
        parse_request(envelope)


def test_another_document_is_no_request() -> None:
    envelope = Envelope("application/vnd.padan.stop+json", request().to_bytes(), ())
    assert denial(envelope) == "REQUEST_MALFORMED"


def test_a_repeat_gets_the_same_answer_and_other_bytes_none() -> None:
    first = signed()
    assert not check_repeat(None, first)
    known = request_digest(first)
    assert check_repeat(known, first)
    again = first.with_signature(signer("party/imigrasi"))
    assert check_repeat(known, again)
    with pytest.raises(DeniedError, match="REQUEST_REUSED") as refused:
        check_repeat(known, signed(epoch=2))
    assert refused.value.code == "REQUEST_REUSED"
    assert keep_until(request()) > NOW + 300 + 30


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)),  # noqa: DTZ001
    st.binary(min_size=10, max_size=10),
)
def test_ids_are_of_version_seven_and_carry_their_time(time: datetime, drawn: bytes) -> None:
    time = time.replace(tzinfo=UTC)
    made = uuid.UUID(request_id(time, drawn))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == int(time.timestamp() * 1_000)
    assert request(id=str(made)).id == str(made)


def test_an_id_needs_ten_random_bytes() -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        request_id(START, b"")


def test_a_seal_key_of_the_world_has_its_length() -> None:
    assert len(seal_key("x")) == 1_624
