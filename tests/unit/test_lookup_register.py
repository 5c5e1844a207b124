"""What a register's manifest and chunks promise, and that nothing else passes."""

import json
from dataclasses import replace

import pytest

from linkage.batch import MAX_CHUNK_BYTES
from linkage.errors import KeyMismatchError, MalformedMessageError, SchemaMismatchError
from linkage.job import CodeId
from linkage.register import RegisterChunk, RegisterManifest

CODES = CodeId(b"s" * 32, 1, b"k" * 8, "saul", 1024, exact_slots=1)
CHUNK = RegisterChunk(b"r" * 32, b"c" * 256, b"x" * 32)
REMOVAL = RegisterChunk(removed=b"g" * 48)
MANIFEST = RegisterManifest("PKS-1", CODES, 0.55, 3, 2, 3, 1, (CHUNK.digest(), REMOVAL.digest()))


def test_a_manifest_comes_back_as_it_was() -> None:
    again = RegisterManifest.from_json(json.loads(MANIFEST.to_bytes()))
    assert again == MANIFEST
    assert again.digest() == MANIFEST.digest()
    MANIFEST.check()


@pytest.mark.parametrize(
    "change",
    [
        {"agreement_id": "PKS-2"},
        {"codes": replace(CODES, epoch=2)},
        {"threshold": 0.6},
        {"base_revision": 4},
        {"n_records": 1},
        {"n_removed": 1},
        {"n_record_chunks": 0},
        {"chunk_sha256": MANIFEST.chunk_sha256[::-1]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_is_of_all_of_it(change: dict[str, object]) -> None:
    assert replace(MANIFEST, **change).digest() != MANIFEST.digest()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"base_revision": -1}, "base_revision"),
        ({"base_revision": 0}, "n_removed"),
        ({"base_revision": 0, "n_records": 0, "n_removed": 0}, "n_records"),
        ({"chunk_sha256": (b"short", b"d" * 32)}, "chunk_sha256"),
        ({"n_record_chunks": 0}, "chunks"),
        ({"n_record_chunks": 2}, "chunks"),
        ({"n_record_chunks": -1}, "chunks"),
        ({"n_records": 0}, "chunks"),
        ({"n_records": MAX_CHUNK_BYTES}, "chunks"),
        ({"codes": replace(CODES, schema_id=b"short")}, "schema_id"),
        ({"codes": replace(CODES, epoch=0)}, "epoch"),
        ({"codes": replace(CODES, key_check=b"")}, "key_check"),
        ({"codes": replace(CODES, scheme="rot13")}, "scheme"),
        ({"codes": replace(CODES, code_bits=1000)}, "code_bits"),
        ({"codes": replace(CODES, exact_slots=9)}, "exact_slots"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(
    change: dict[str, object], says: str
) -> None:
    with pytest.raises(MalformedMessageError, match=says):
        replace(MANIFEST, **change).check()  # type: ignore[arg-type]


def test_the_chunks_of_a_manifest_pass() -> None:
    assert MANIFEST.check_chunk(0, CHUNK) == 2
    assert MANIFEST.check_chunk(1, REMOVAL) == 3
    assert RegisterChunk.of_records(CHUNK.to_bytes(), CODES) == CHUNK


@pytest.mark.parametrize(
    ("index", "chunk"),
    [
        (2, CHUNK),
        (-1, CHUNK),
        (0, REMOVAL),
        (1, CHUNK),
        (0, RegisterChunk()),
        (0, replace(CHUNK, references=b"r" * 31)),
        (0, replace(CHUNK, codes=CHUNK.codes[:-1])),
        (0, replace(CHUNK, codes=b"d" * 256)),
        (0, replace(CHUNK, exact=b"")),
        (0, replace(CHUNK, codes=CHUNK.codes + CHUNK.exact, exact=b"")),
        (1, replace(REMOVAL, removed=b"h" * 48)),
    ],
)
def test_any_other_chunk_is_refused(index: int, chunk: RegisterChunk) -> None:
    with pytest.raises(MalformedMessageError):
        MANIFEST.check_chunk(index, chunk)


def test_codes_are_compared_under_one_schema_and_key_only() -> None:
    CODES.check_same(replace(CODES), "the register")
    for other in (replace(CODES, schema_id=b"t" * 32), replace(CODES, code_bits=2048)):
        with pytest.raises(SchemaMismatchError, match="than the register"):
            CODES.check_same(other, "the register")
    for other in (replace(CODES, epoch=2), replace(CODES, key_check=b"l" * 8)):
        with pytest.raises(KeyMismatchError, match="than the register"):
            CODES.check_same(other, "the register")
