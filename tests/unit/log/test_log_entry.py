import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.canonical import Json, format_json, parse_json
from linkage.log.entry import (
    FAMILIES,
    TYPES,
    Entry,
    commit_body,
    format_body,
    format_entry,
    is_confidential,
    parse_body,
    parse_entry,
    verify_body,
)

TIME = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
OPENING = bytes(range(32))
BODY = b'{"n":3}'
PUBLIC = Entry("enrol", TIME, "spiffe://padan.test/agency/a/agent", None, (0,), body={"a": [1]})
CONFIDENTIAL = Entry(
    "job.request", TIME, "a", "pks-1", (0, 4), commitment=commit_body(OPENING, BODY)
)
PUBLIC_BYTES = (
    b'{"actor":"spiffe://padan.test/agency/a/agent","agreement":null,"body":{"a":[1]},'
    b'"ref":[0],"time":"2026-11-21T08:30:00Z","type":"enrol","v":1}'
)


def test_the_bytes_of_a_leaf() -> None:
    assert format_entry(PUBLIC) == PUBLIC_BYTES
    assert parse_entry(PUBLIC_BYTES) == PUBLIC
    assert parse_entry(format_entry(CONFIDENTIAL)) == CONFIDENTIAL


def test_which_types_are_confidential() -> None:
    confidential = {t for t in TYPES if is_confidential(t)}
    assert confidential == {
        "gate", "batch", "refine", "result", "release", "lookup.grant", "lookup.minute",
        "destruction",
    }  # fmt: skip
    assert {f for f in FAMILIES if is_confidential(f + ".x")} == {"job", "rights", "incident"}


@pytest.mark.parametrize(
    "leaf_type", ["genesis", "key.enrol", "epoch.delegate", "job.awaiting_2", "lookup.grant"]
)
def test_known_types(leaf_type: str) -> None:
    base = CONFIDENTIAL if is_confidential(leaf_type) else PUBLIC
    assert parse_entry(format_entry(replace(base, type=leaf_type))).type == leaf_type


@pytest.mark.parametrize(
    "leaf_type",
    [
        "",
        "job",
        "key.",
        "key.A",
        "key.a.b",
        "key.1",
        "lookup",
        "lookup.other",
        "genesis.x",
        "other",
    ],
)
def test_unknown_types_are_refused(leaf_type: str) -> None:
    with pytest.raises(MalformedMessageError, match="unknown type"):
        format_entry(replace(PUBLIC, type=leaf_type))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"v": True}, {"v": "1"}, {"v": None},
        {"type": None}, {"type": ["enrol"]}, {"type": "gate"},
        {"time": "2026-11-21T08:30:00"}, {"time": "2026-11-21T08:30:00+00:00"},
        {"time": "2026-11-21 08:30:00Z"}, {"time": "2026-11-21T08:30:00.0Z"},
        {"time": "2026-02-30T08:30:00Z"}, {"time": "2026-11-21T24:00:00Z"},
        {"time": "٢٠٢٦-11-21T08:30:00Z"}, {"time": 0}, {"time": "2026-11-21T08:30:00Z\n"},
        {"actor": ""}, {"actor": "a b"}, {"actor": "é"}, {"actor": None}, {"actor": "a" * 256},
        {"agreement": ""}, {"agreement": 3}, {"agreement": "a\n"},
        {"ref": None}, {"ref": [-1]}, {"ref": [1, 1]}, {"ref": [2, 1]}, {"ref": [True]},
        {"ref": ["0"]}, {"ref": [0.5]}, {"ref": {}},
        {"body": None}, {"body": []}, {"body": "x"},
        {"more": 1}, {"commitment": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_member_that_is_not_what_it_has_to_be(change: dict[str, Json]) -> None:
    fields = json.loads(PUBLIC_BYTES) | change
    with pytest.raises(MalformedMessageError):
        parse_entry(format_json(fields))


@pytest.mark.parametrize("member", ["v", "type", "time", "actor", "agreement", "ref", "body"])
def test_a_missing_member(member: str) -> None:
    fields = json.loads(PUBLIC_BYTES)
    del fields[member]
    with pytest.raises(MalformedMessageError):
        parse_entry(format_json(fields))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 60_000,
        b"\xff",
        PUBLIC_BYTES + b"\n",
        PUBLIC_BYTES.replace(b":1}", b": 1}"),
        PUBLIC_BYTES.replace(b":1}", b":1.0}"),
        PUBLIC_BYTES.replace(b"enrol", b"enro\\u006c"),
        PUBLIC_BYTES.replace(b'"v":1}', b'"v":1,"v":1}'),
        PUBLIC_BYTES.replace(b'"a":[1]', b'"b":1,"a":1'),
        PUBLIC_BYTES.replace(b"[1]", b"[NaN]"),
        PUBLIC_BYTES.replace(b"[1]", b"[-0]"),
        PUBLIC_BYTES.replace(b"[1]", b"[1e400]"),
        PUBLIC_BYTES.replace(b"[1]", b"[1" + b"0" * 5000 + b"]"),
        PUBLIC_BYTES.replace(b"[1]", b"[9007199254740993]"),
        PUBLIC_BYTES.replace(b"[1]", b'["\\ud800"]'),
        PUBLIC_BYTES.replace(b'"a":[1]', b'"\\ud800":1'),
        b"\xef\xbb\xbf" + PUBLIC_BYTES,
        PUBLIC_BYTES.decode().encode("utf-16"),
    ],
    ids=lambda data: repr(data[:70]),
)
def test_what_is_not_canonical_json_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_entry(data)


@pytest.mark.parametrize(
    "time",
    [
        datetime(2026, 11, 21, 8, 30),  # noqa: DTZ001
        TIME.replace(microsecond=1),
        TIME.astimezone(timezone(timedelta(hours=7))),
    ],
)
def test_times_that_are_not_utc_seconds_are_not_written(time: datetime) -> None:
    with pytest.raises(MalformedMessageError, match="time"):
        format_entry(replace(PUBLIC, time=time))


def test_a_leaf_carries_what_its_type_has() -> None:
    for entry in (
        replace(PUBLIC, body=None),
        replace(PUBLIC, commitment=CONFIDENTIAL.commitment),
        replace(CONFIDENTIAL, commitment=None),
        replace(CONFIDENTIAL, body={}),
        replace(CONFIDENTIAL, commitment="AAAA"),
        replace(CONFIDENTIAL, commitment="A" * 44),
    ):
        with pytest.raises(MalformedMessageError):
            format_entry(entry)


def test_a_leaf_that_is_too_large() -> None:
    with pytest.raises(MalformedMessageError, match="65535 fit"):
        format_entry(replace(PUBLIC, body={"a": "x" * 65_535}))


def test_a_commitment_opens_only_to_its_body() -> None:
    # As `openssl dgst -sha256 -mac HMAC` has it.
    assert commit_body(OPENING, BODY) == "AiUxkZbq8nCGPRMJm2107DxqCghnN0ZKpdg95X8ry/8="
    verify_body(CONFIDENTIAL, OPENING, BODY)
    for opening, body in ((OPENING, b'{"n":4}'), (bytes(32), BODY), (OPENING + b"\0", BODY)):
        with pytest.raises(VerificationError):
            verify_body(CONFIDENTIAL, opening, body)
    with pytest.raises(VerificationError, match="commits to none"):
        verify_body(PUBLIC, OPENING, BODY)
    with pytest.raises(ValueError, match="32 bytes"):
        commit_body(OPENING[:31], BODY)


def test_the_file_of_a_body() -> None:
    data = format_body(OPENING, BODY)
    assert data == (b'{"body":{"n":3},"opening":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}')
    assert parse_body(data) == (OPENING, BODY)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"body":{},"opening":""}',
        b'{"body":[],"opening":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}',
        b'{"body":{},"opening":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9="}',
        b'{"body":{},"more":1,"opening":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}',
        b'{"body":{},"opening":3}',
    ],
)
def test_malformed_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_body(data)


def test_what_is_no_body_is_not_written() -> None:
    for opening, body in ((bytes(31), BODY), (OPENING, b"[]"), (OPENING, b'{"n": 3}')):
        with pytest.raises(MalformedMessageError):
            format_body(opening, body)


def test_numbers_are_doubles_as_the_format_has_them() -> None:
    for text in (b"100000000000000000000", b"9007199254740992", b"1e+21", b"0.1", b"1e-7"):
        assert format_json(parse_json(text)) == text
    with pytest.raises(MalformedMessageError):
        format_json(2**53)
