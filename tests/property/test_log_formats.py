"""parse(format(x)) == x, and what parses is written again with the same bytes."""

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import CheckpointError, ConfigError, MalformedMessageError, SignatureError
from linkage.log.builder import TileBuilder
from linkage.log.canonical import format_json, parse_json
from linkage.log.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from linkage.log.cosignature import Cosigner, verify_cosignature
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
)
from linkage.log.hashing import EMPTY_ROOT
from linkage.log.note import Note, NoteSignature, format_note, parse_lines, parse_note
from linkage.log.policy import GroupLine, LogLine, Policy, WitnessLine, format_policy, parse_policy
from linkage.log.receipt import Receipt, format_receipt, parse_receipt
from linkage.log.tar import from_tar, to_tar
from linkage.log.tiles import (
    ENTRIES,
    Tile,
    format_entries,
    parse_entries,
    parse_tile_path,
    tiles_of,
)
from linkage.log.vkey import VerifierKey, format_vkey, parse_vkey
from linkage.log.witness import WitnessRequest, format_request, parse_request

KEY_NAMES = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="+"), min_size=1
)
ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
HASHES = st.binary(min_size=32, max_size=32)
INDEXES = st.integers(min_value=0, max_value=2**53 - 1)
LINES = st.text(st.characters(codec="utf-8").filter(lambda c: c >= " "), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=1 - 2**53, max_value=2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), JSON, max_size=3)
LEAF_TYPES = st.sampled_from(sorted(TYPES)) | st.builds(
    "{}.{}".format, st.sampled_from(sorted(FAMILIES)), st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
)
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=0))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    leaf_type = draw(LEAF_TYPES)
    secret = is_confidential(leaf_type)
    return Entry(
        type=leaf_type,
        time=draw(TIMES),
        actor=draw(ASCII),
        agreement=draw(st.none() | ASCII),
        ref=tuple(sorted(draw(st.sets(INDEXES, max_size=4)))),
        body=None if secret else draw(OBJECTS),
        commitment=commit_body(draw(HASHES), b"{}") if secret else None,
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any witnesses, and groups that take up what stands before them."""
    n_witnesses = draw(st.integers(min_value=0, max_value=6))
    logs = tuple(
        LogLine(VerifierKey(draw(KEY_NAMES), 1, bytes([200 + i]) * 32), draw(st.none() | ASCII))
        for i in range(draw(st.integers(min_value=0, max_value=2)))
    )
    witnesses = tuple(
        WitnessLine(f"w{i}", VerifierKey(draw(KEY_NAMES), 4, bytes([i]) * 32))
        for i in range(n_witnesses)
    )
    free = [line.name for line in witnesses]
    groups: list[GroupLine] = []
    while free and draw(st.booleans()):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        threshold = draw(st.integers(min_value=1, max_value=len(members)))
        groups.append(GroupLine(f"g{len(groups)}", threshold, tuple(members)))
        free = [name for name in free if name not in members] + [groups[-1].name]
    names = ["none", *(line.name for line in witnesses), *(line.name for line in groups)]
    return Policy(logs, witnesses, tuple(groups), draw(st.sampled_from(names)))


@given(JSON)
def test_json(value: object) -> None:
    data = format_json(value)  # type: ignore[arg-type]  # hypothesis does not know the alias
    assert parse_json(data) == value
    assert format_json(parse_json(data)) == data


def _is_rfc8785(data: bytes) -> bool:
    """Whether bytes are canonical JSON by the library for it alone, as the parser had it."""
    try:
        numbers = {"parse_int": lambda text: int(text) if abs(float(text)) < 2**53 else float(text)}
        return rfc8785.dumps(json.loads(data.decode(), **numbers)) == data
    except (ValueError, RecursionError):
        return False


SPELLINGS = (
    st.builds(lambda value, **how: json.dumps(value, **how).encode(errors="replace"),
              JSON, sort_keys=st.booleans(), ensure_ascii=st.booleans(),
              separators=st.sampled_from([(",", ":"), (", ", ": ")]))
    | st.builds(lambda parts: "".join(parts).encode(), st.lists(st.sampled_from(
        [*'[]{}",:-+.eE0123789', "1e5", "1E+2", "0.00001", "1e-05", "-0", "NaN", "Infinity", "1.0",
         "999999999999999", "9007199254740993", '"a":', '"\\u00e9"', '"\\ud800"', '"\\u001f"',
         '"\x7f"', '"\\/"', '"\\n"', "true", "null", " ", "é"]
    ), max_size=7))
)  # fmt: skip


@given(SPELLINGS)
def test_json_has_one_spelling_whichever_library_reads_it(data: bytes) -> None:
    taken = False
    with contextlib.suppress(MalformedMessageError):
        taken = format_json(parse_json(data)) == data
    assert taken == _is_rfc8785(data)


@given(JSON)
def test_json_is_written_as_the_library_for_it_writes(value: object) -> None:
    assert format_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("value", [{1: "a"}, {None: 1}, {"a": float("nan")}, b"x", {"\ud800": 1}])
def test_what_is_no_json_is_not_written(value: object) -> None:
    with pytest.raises(MalformedMessageError):
        format_json(value)  # type: ignore[arg-type]  # that is the point


@given(entries())
def test_entry(entry: Entry) -> None:
    data = format_entry(entry)
    assert parse_entry(data) == entry
    assert format_entry(parse_entry(data)) == data


@given(HASHES, OBJECTS)
def test_body(opening: bytes, value: dict[str, object]) -> None:
    body = format_json(value)  # type: ignore[arg-type]  # as above
    assert parse_body(format_body(opening, body)) == (opening, body)


@given(KEY_NAMES, st.integers(min_value=1, max_value=2**63 - 1), HASHES)
def test_checkpoint(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint
    assert parse_checkpoint(format_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT))).size == 0


@given(KEY_NAMES, st.sampled_from([1, 4]), HASHES)
def test_vkey(name: str, algorithm: int, public: bytes) -> None:
    key = VerifierKey(name, algorithm, public)
    assert parse_vkey(format_vkey(key)) == key


@given(
    st.lists(LINES, min_size=1, max_size=4),
    st.lists(
        st.builds(
            NoteSignature,
            KEY_NAMES,
            st.binary(min_size=4, max_size=4),
            st.binary(min_size=1, max_size=80),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda s: (s.name, s.key_id),
    ),
)
def test_note(lines: list[str], signatures: list[NoteSignature]) -> None:
    note = Note("".join(f"{line}\n" for line in lines), tuple(signatures))
    assert parse_note(format_note(note)) == note


@given(st.integers(min_value=0, max_value=2**63 - 1), st.lists(HASHES, max_size=63), st.binary())
def test_witness_request(old: int, proof: list[bytes], note: bytes) -> None:
    request = WitnessRequest(old, tuple(proof), note)
    assert parse_request(format_request(request)) == request


@given(st.integers(min_value=0, max_value=2**63 - 1), st.lists(HASHES, max_size=63), st.binary())
def test_receipt(index: int, proof: list[bytes], note: bytes) -> None:
    receipt = Receipt(index, tuple(proof), note)
    assert parse_receipt(format_receipt(receipt)) == receipt


@given(st.binary(max_size=200))
def test_parsers_of_bytes_raise_one_type(data: bytes) -> None:
    for parse in (parse_request, parse_receipt):
        with contextlib.suppress(MalformedMessageError):
            parse(data)
    for parse_signed in (parse_note, parse_lines):
        with contextlib.suppress(SignatureError):
            parse_signed(data)


@given(st.integers(min_value=0, max_value=2**62), st.integers(min_value=1), HASHES, st.data())
def test_a_cosignature_holds_for_its_checkpoint_only(
    time: int, size: int, root: bytes, data: st.DataObject
) -> None:
    text = format_checkpoint(Checkpoint("log.test/a", size % 2**62 + 1, root)).encode()
    private = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
    cosigner = Cosigner("w", private, lambda: time)
    stamped = cosigner.sign(text)
    assert verify_cosignature(cosigner.key, text, stamped) == time
    at = data.draw(st.integers(min_value=0, max_value=8 * len(stamped) - 1))
    flipped = bytearray(stamped)
    flipped[at // 8] ^= 1 << at % 8
    with pytest.raises(SignatureError):
        verify_cosignature(cosigner.key, text, bytes(flipped))


@given(policies())
def test_policy(policy: Policy) -> None:
    assert parse_policy(format_policy(policy)) == policy


@given(policies(), st.data())
def test_quorum_by_the_recursive_definition(policy: Policy, data: st.DataObject) -> None:
    names = [line.name for line in policy.witnesses]
    signed = data.draw(st.sets(st.sampled_from(names))) if names else set()
    groups = {line.name: line for line in policy.groups}

    def met(name: str) -> bool:
        if name in groups:
            return sum(met(m) for m in groups[name].members) >= groups[name].threshold
        return name == "none" or name in signed

    assert policy.quorum_met(signed) is met(policy.quorum)


@given(st.integers(min_value=-1, max_value=63), INDEXES, st.integers(min_value=1, max_value=256))
def test_tile_path(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_tile_path(tile.path) == tile


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_entry_bundle(values: list[bytes]) -> None:
    assert parse_entries(format_entries(values), len(values)) == values


@given(st.integers(min_value=0, max_value=1500))
def test_a_builder_makes_exactly_the_tiles_of_its_size(size: int) -> None:
    builder = TileBuilder()
    made = [tile for i in range(size) for tile, _ in builder.append(b"%d" % i)]
    made += [tile for tile, _ in builder.partial_tiles()]
    assert sorted(made) == sorted(tiles_of(size))
    assert sum(tile.width for tile in made if tile.level == ENTRIES) == size


@given(
    st.dictionaries(
        st.from_regex(r"\A[0-9A-Za-z_]{1,8}(/[0-9A-Za-z_.]{0}[a-z]{1,5}){0,3}\Z"),
        st.binary(max_size=1100),
        max_size=5,
    )
)
def test_tar(files: dict[str, bytes]) -> None:
    data = to_tar(files)
    assert from_tar(data) == files
    assert to_tar(from_tar(data)) == data


PARSERS: list[tuple[Callable[[bytes], object], type[Exception]]] = [
    (parse_note, SignatureError),
    (lambda data: parse_vkey(data.decode("latin-1")), SignatureError),
    (lambda data: parse_checkpoint(data.decode("latin-1")), CheckpointError),
    (parse_entry, MalformedMessageError),
    (parse_body, MalformedMessageError),
    (lambda data: parse_entries(data, 1), MalformedMessageError),
    (lambda data: parse_tile_path(data.decode("latin-1")), MalformedMessageError),
    (from_tar, MalformedMessageError),
    (parse_policy, ConfigError),
]
SEEDS = [
    b"log.test/a\n1\n" + b"A" * 43 + b"=\n\n\xe2\x80\x94 log.test/a " + b"A" * 92 + b"\n",
    b'{"actor":"a","agreement":null,"body":{},"ref":[],"time":"2026-01-01T00:00:00Z","type":"key.a","v":1}',
    to_tar({"a": b"x"}),
    b"tile/0/x001/000.p/3",
    b"group a all b c\nquorum none\n",
    b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
]


@pytest.mark.parametrize(("parse", "error"), PARSERS)
@given(data=st.data())
def test_parsers_raise_one_type(
    parse: Callable[[bytes], object], error: type[Exception], data: st.DataObject
) -> None:
    """Random bytes and damaged good ones parse, or raise the one error of the parser."""
    raw = bytearray(data.draw(st.binary(max_size=60) | st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(min_value=0, max_value=2))):
        at = data.draw(st.integers(min_value=0, max_value=len(raw)))
        raw[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        parse(bytes(raw))
    except error as caught:
        assert type(caught) is error  # noqa: PT017 (most runs raise, some do not)


def test_years_have_four_digits() -> None:
    entry = Entry("freeze", datetime(1, 1, 1, tzinfo=UTC), "a", None, body={})
    assert b'"0001-01-01T00:00:00Z"' in format_entry(entry)
