"""Manifests and chunks: nothing but what was committed to is taken."""

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.batch import Chunk, Manifest
from linkage.errors import MalformedMessageError
from linkage.job import CodeId

CODES = CodeId(schema_id=b"s" * 32, epoch=1, key_check=b"k" * 8, scheme="clk", code_bits=512)


def chunk_of(n_records: int, seed: int = 0) -> Chunk:
    stream = hashlib.shake_256(bytes([seed])).digest(n_records * (16 + 64))
    return Chunk(stream[: 16 * n_records], stream[16 * n_records :])


CHUNKS = (chunk_of(3, 1), chunk_of(2, 2), chunk_of(1, 3))
MANIFEST = Manifest(CODES, 6, tuple(chunk.digest() for chunk in CHUNKS))


def test_every_promised_chunk_is_taken_and_counted() -> None:
    assert [MANIFEST.check_chunk(i, chunk) for i, chunk in enumerate(CHUNKS)] == [3, 2, 1]


def test_an_empty_chunk_is_taken_where_it_was_promised() -> None:
    empty = Chunk(b"", b"")
    assert replace(MANIFEST, chunk_sha256=(empty.digest(),)).check_chunk(0, empty) == 0


@pytest.mark.parametrize("index", [-1, 3, 1 << 31])
def test_a_chunk_outside_the_manifest_is_refused(index: int) -> None:
    with pytest.raises(MalformedMessageError, match="the manifest has 3 chunks"):
        MANIFEST.check_chunk(index, CHUNKS[0])


@pytest.mark.parametrize(("index", "chunk"), [(0, 1), (1, 0), (2, 1)])
def test_the_chunk_of_another_place_is_refused(index: int, chunk: int) -> None:
    with pytest.raises(MalformedMessageError):
        MANIFEST.check_chunk(index, CHUNKS[chunk])


def test_a_chunk_of_another_batch_is_refused() -> None:
    with pytest.raises(MalformedMessageError, match="not the one of the manifest"):
        MANIFEST.check_chunk(0, chunk_of(3, 9))


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_truncated_chunk_is_refused(cut: int) -> None:
    whole = CHUNKS[0]
    for references, codes in (
        (whole.references[:-cut], whole.codes),
        (whole.references, whole.codes[:-cut]),
        (whole.references[:-cut], whole.codes[:-cut]),
        (whole.references + bytes(cut), whole.codes),
        (whole.references, whole.codes + bytes(cut)),
    ):
        with pytest.raises(MalformedMessageError, match="chunk 0: truncated"):
            MANIFEST.check_chunk(0, Chunk(references, codes))


def test_a_chunk_of_whole_records_less_is_refused() -> None:
    whole = CHUNKS[0]
    with pytest.raises(MalformedMessageError, match="damaged"):
        MANIFEST.check_chunk(0, Chunk(whole.references[:-16], whole.codes[:-64]))


def test_the_border_between_references_and_codes_cannot_be_moved() -> None:
    # The digest has no border in it: the lengths of reference and code must give it.
    whole = chunk_of(5, 4)
    content = whole.references + whole.codes
    manifest = replace(MANIFEST, chunk_sha256=(whole.digest(),))
    for split in range(0, len(content), 16):
        if split != len(whole.references):
            with pytest.raises(MalformedMessageError):
                manifest.check_chunk(0, Chunk(content[:split], content[split:]))


def test_a_chunk_of_codes_of_another_length_is_refused() -> None:
    manifest = replace(MANIFEST, codes=replace(CODES, code_bits=576))
    with pytest.raises(MalformedMessageError, match="another length"):
        manifest.check_chunk(0, CHUNKS[0])


@given(st.data())
def test_a_bit_flipped_anywhere_is_refused(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, 2))
    chunk = CHUNKS[index]
    content = bytearray(chunk.references + chunk.codes)
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    split = len(chunk.references)
    damaged = Chunk(bytes(content[:split]), bytes(content[split:]))
    with pytest.raises(MalformedMessageError, match="send it again"):
        MANIFEST.check_chunk(index, damaged)


def test_the_error_holds_nothing_of_the_chunk() -> None:
    chunk = Chunk(b"SENTINEL-SENTINE" * 3, b"SENTINEL" * 24)
    with pytest.raises(MalformedMessageError) as caught:
        MANIFEST.check_chunk(0, chunk)
    assert "SENTINEL" not in str(caught.value)
    assert MANIFEST.chunk_sha256[0].hex() not in str(caught.value)


# Every field of a manifest and of what it encodes under, changed once.
CHANGED = {
    "schema_id": replace(MANIFEST, codes=replace(CODES, schema_id=b"t" * 32)),
    "epoch": replace(MANIFEST, codes=replace(CODES, epoch=2)),
    "key_check": replace(MANIFEST, codes=replace(CODES, key_check=b"l" * 8)),
    "scheme": replace(MANIFEST, codes=replace(CODES, scheme="other")),  # type: ignore[arg-type]
    "code_bits": replace(MANIFEST, codes=replace(CODES, code_bits=576)),
    "block_slots": replace(MANIFEST, codes=replace(CODES, block_slots=1)),
    "exact_slots": replace(MANIFEST, codes=replace(CODES, exact_slots=1)),
    "n_records": replace(MANIFEST, n_records=7),
    "a chunk": replace(MANIFEST, chunk_sha256=(bytes(32), *MANIFEST.chunk_sha256[1:])),
    "order of chunks": replace(MANIFEST, chunk_sha256=MANIFEST.chunk_sha256[::-1]),
    "one chunk less": replace(MANIFEST, chunk_sha256=MANIFEST.chunk_sha256[:-1]),
    "one chunk twice": replace(
        MANIFEST, chunk_sha256=(*MANIFEST.chunk_sha256, MANIFEST.chunk_sha256[-1])
    ),
}


def test_every_field_changes_the_digest_of_a_manifest() -> None:
    digests = {MANIFEST.digest(), *(changed.digest() for changed in CHANGED.values())}
    assert len(digests) == 1 + len(CHANGED)
    assert {f.name for f in fields(CodeId)} <= set(CHANGED)


def test_the_digest_of_a_manifest_stays_the_same() -> None:
    assert MANIFEST.digest() == replace(MANIFEST).digest()
    parts = (
        f'{{"block_slots":0,"chunks":"{hashlib.sha256(b"".join(MANIFEST.chunk_sha256)).hexdigest()}",'
        f'"code_bits":512,"epoch":1,"exact_slots":0,"key_check":"{b"k".hex() * 8}","n_records":6,'
        f'"schema_id":"{b"s".hex() * 32}","scheme":"clk"}}'
    )
    assert MANIFEST.digest() == hashlib.sha256(parts.encode()).digest()
