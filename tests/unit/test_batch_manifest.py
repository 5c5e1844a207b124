"""Manifests and chunks: nothing but what was committed to is taken."""

import hashlib
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.batch import MAX_CHUNK_BYTES, Chunk, Manifest
from linkage.errors import MalformedMessageError
from linkage.job import CodeId

CODES = CodeId(schema_id=b"s" * 32, epoch=1, key_check=b"k" * 8, scheme="clk", code_bits=512)


def chunk_of(n_records: int, seed: int = 0) -> Chunk:
    stream = hashlib.shake_256(bytes([seed])).digest(n_records * (16 + 64))
    return Chunk(stream[: 16 * n_records], stream[16 * n_records :])


CHUNKS = (chunk_of(3, 1), chunk_of(2, 2), chunk_of(1, 3))
MANIFEST = Manifest(CODES, 6, 3, tuple(chunk.digest() for chunk in CHUNKS))

# The same with block tokens: two entries, 3 tokens of 5 bytes for each record.
WITH_TOKENS = replace(CODES, block_entries=2, block_copies=3, block_bytes=5)
TOKENS = tuple(Chunk(tokens=hashlib.shake_256(bytes([n])).digest(6 * 15)) for n in range(4))
OF_THREE = Manifest(WITH_TOKENS, 6, 3, tuple(chunk.digest() for chunk in (*CHUNKS, *TOKENS)))


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
    "block_entries": replace(MANIFEST, codes=replace(CODES, block_entries=1)),
    "block_copies": replace(MANIFEST, codes=replace(CODES, block_copies=1)),
    "block_bytes": replace(MANIFEST, codes=replace(CODES, block_bytes=1)),
    "exact_slots": replace(MANIFEST, codes=replace(CODES, exact_slots=1)),
    "n_records": replace(MANIFEST, n_records=7),
    "n_record_chunks": replace(MANIFEST, n_record_chunks=2),
    "n_tickets": replace(MANIFEST, n_tickets=(3,)),
    "gate_sha256": replace(MANIFEST, gate_sha256=b"g" * 32),
    "one ticket less": replace(MANIFEST, n_tickets=(2,)),
    "tickets of another entry": replace(MANIFEST, n_tickets=(0, 3)),
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
    assert {f.name for f in fields(Manifest)} - {"codes", "chunk_sha256"} <= set(CHANGED)


def test_the_digest_of_a_manifest_stays_the_same() -> None:
    assert MANIFEST.digest() == replace(MANIFEST).digest()
    parts = (
        '{"block_bytes":0,"block_copies":0,"block_entries":0,'
        f'"chunks":"{hashlib.sha256(b"".join(MANIFEST.chunk_sha256)).hexdigest()}",'
        f'"code_bits":512,"epoch":1,"exact_slots":0,"gate":"","key_check":"{b"k".hex() * 8}",'
        '"n_record_chunks":3,"n_records":6,"n_tickets":[],'
        f'"schema_id":"{b"s".hex() * 32}","scheme":"clk"}}'
    )
    assert MANIFEST.digest() == hashlib.sha256(parts.encode()).digest()


def test_chunks_of_block_tokens_follow_those_of_records() -> None:
    promised = [OF_THREE.check_chunk(i, c) for i, c in enumerate((*CHUNKS, *TOKENS))]
    assert promised == [3, 2, 1, 0, 0, 0, 0]  # their records have come before
    assert OF_THREE.n_token_chunks(3) == len(TOKENS)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(tokens=TOKENS[0].tokens[:-1]),
        Chunk(tokens=TOKENS[0].tokens + bytes(15)),
        Chunk(tokens=TOKENS[0].tokens[:-15]),
        replace(TOKENS[0], exact=bytes(16)),
        replace(CHUNKS[0], tokens=TOKENS[0].tokens),
        CHUNKS[0],
        Chunk(),
    ],
    ids=["a byte less", "a record more", "a record less", "exact", "records", "other", "empty"],
)
def test_a_chunk_of_block_tokens_has_those_of_all_records_and_nothing_else(chunk: Chunk) -> None:
    with pytest.raises(MalformedMessageError, match="chunk 3: truncated"):
        OF_THREE.check_chunk(3, chunk)


def test_block_tokens_in_a_chunk_of_records_are_refused() -> None:
    with pytest.raises(MalformedMessageError, match="chunk 0: truncated"):
        OF_THREE.check_chunk(0, replace(CHUNKS[0], tokens=bytes(15)))


@pytest.mark.parametrize("index", range(4))
def test_the_block_tokens_of_another_entry_or_party_are_refused(index: int) -> None:
    with pytest.raises(MalformedMessageError, match="not the one of the manifest"):
        OF_THREE.check_chunk(3 + index, TOKENS[index - 1])


@given(
    st.integers(1, 10**6),
    st.integers(1, 64),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(2, 16),
)
def test_every_entry_of_every_other_party_has_its_own_chunks_in_a_row(
    n_records: int, entries: int, copies: int, width: int, n_parties: int
) -> None:
    codes = replace(CODES, block_entries=entries, block_copies=copies, block_bytes=width)
    manifest = Manifest(codes, n_records, 5, ())
    every = [
        manifest.token_chunks(other, entry)
        for other in range(n_parties - 1)
        for entry in range(entries)
    ]
    in_a_row = [index for chunks in every for index in chunks]
    assert in_a_row == list(range(5, 5 + manifest.n_token_chunks(n_parties)))
    pieces = manifest.pieces(n_records)
    assert {len(chunks) for chunks in every} == {pieces}
    assert copies * width * manifest.token_rows <= MAX_CHUNK_BYTES
    # The pieces hold every record once, and none is empty.
    sizes = [manifest._lengths(5 + piece, 0)[3] // (copies * width) for piece in range(pieces)]
    assert sum(sizes) == n_records
    assert min(sizes) > 0


# Tickets

OF_TICKETS = replace(CODES, block_entries=3, block_copies=3, block_bytes=5)
TICKET = 5 + 8


def tickets_of(*counts: int) -> tuple[Manifest, list[Chunk]]:
    """A batch of so many tickets of each entry, and its chunks."""
    manifest = Manifest(OF_TICKETS, 6, 0, (), counts)
    chunks = [
        Chunk(tokens=bytes([number]) * TICKET * min(manifest.token_rows, n - start))
        for number, n in enumerate(counts)
        for start in range(0, n, manifest.token_rows)
    ]
    return replace(manifest, chunk_sha256=tuple(chunk.digest() for chunk in chunks)), chunks


def test_chunks_of_tickets_are_as_long_as_the_manifest_says() -> None:
    manifest, chunks = tickets_of(4, 0, 18)
    assert manifest.row_bytes == TICKET
    assert [manifest.check_chunk(i, c) for i, c in enumerate(chunks)] == [0, 0]
    assert [list(manifest.token_chunks(0, entry)) for entry in range(3)] == [[0], [], [1]]
    for index, chunk in enumerate(chunks):
        for wrong in (
            Chunk(tokens=chunk.tokens[:-1]),
            Chunk(tokens=chunk.tokens[:-TICKET]),
            Chunk(tokens=chunk.tokens + bytes(TICKET)),
            replace(chunk, references=bytes(16)),
            replace(chunk, codes=bytes(64)),
            Chunk(codes=chunk.tokens),
            Chunk(),
        ):
            with pytest.raises(MalformedMessageError, match=f"chunk {index}: truncated"):
                manifest.check_chunk(index, wrong)
        altered = Chunk(tokens=chunk.tokens[:-1] + bytes([chunk.tokens[-1] ^ 1]))
        with pytest.raises(MalformedMessageError, match="not the one of the manifest"):
            manifest.check_chunk(index, altered)
    for index in (-1, 2):
        with pytest.raises(MalformedMessageError, match="the manifest has 2 chunks"):
            manifest.check_chunk(index, chunks[0])


@given(
    st.lists(st.integers(0, 400_000), min_size=3, max_size=9).filter(lambda n: len(n) % 3 == 0),
    st.integers(2, 8),
)
def test_every_entry_has_its_tickets_in_chunks_in_a_row(counts: list[int], width: int) -> None:
    codes = replace(OF_TICKETS, block_bytes=width)
    manifest = Manifest(codes, 10**6, 0, (), tuple(counts))
    n_parties = len(counts) // 3 + 1
    every = [manifest.token_chunks(o, e) for o in range(n_parties - 1) for e in range(3)]
    in_a_row = [index for chunks in every for index in chunks]
    assert in_a_row == list(range(manifest.n_token_chunks(n_parties)))
    for n, chunks in zip(counts, every, strict=True):
        sizes = [manifest._lengths(index, 0)[3] // (width + 8) for index in chunks]
        assert sum(sizes) == n
        assert min(sizes, default=1) > 0
        assert max(sizes, default=0) * (width + 8) <= MAX_CHUNK_BYTES


def test_a_batch_without_any_ticket_has_no_chunks() -> None:
    manifest, chunks = tickets_of(0, 0, 0)
    assert chunks == []
    assert manifest.n_token_chunks(2) == 0
    assert manifest.row_bytes == TICKET


def test_without_block_entries_there_are_no_chunks_of_tokens() -> None:
    assert MANIFEST.n_token_chunks(16) == 0


@given(st.integers(0, 5), st.integers(0, 3), st.data())
def test_a_chunk_of_records_comes_back_from_its_bytes(
    n_records: int, exact: int, data: st.DataObject
) -> None:
    codes = replace(CODES, exact_slots=exact)
    content = data.draw(
        st.binary(min_size=n_records * codes.record_bytes, max_size=n_records * codes.record_bytes)
    )
    chunk = Chunk.from_bytes(content, codes)
    assert chunk.to_bytes() == content
    assert (len(chunk.references), len(chunk.codes), len(chunk.exact)) == (
        16 * n_records,
        64 * n_records,
        16 * exact * n_records,
    )
