"""Job specifications and states: every rule named, every difference told."""

from dataclasses import fields, replace

import pytest

from linkage.blockentry import MAX_ENTRIES
from linkage.errors import KeyMismatchError, MalformedMessageError, SchemaMismatchError
from linkage.job import (
    DRAWN_PER_RECORD,
    MAX_COLLECT_S,
    MAX_EXACT_SLOTS,
    MAX_PARTIES,
    CodeId,
    Job,
    JobSpec,
    JobState,
    Refinement,
)
from linkage.schema import MAX_ATTRIBUTES, MAX_CANDIDATES

CODES = CodeId(schema_id=b"s" * 32, epoch=1, key_check=b"k" * 8, scheme="clk", code_bits=1024)
REFINEMENT = Refinement(10, True, ("name", "date"))
BLOCKED = replace(CODES, block_entries=1, block_copies=3, block_bytes=4)
SPEC = JobSpec(
    "pks/1",
    bytes(32),
    "demo",
    (("nama", "nama"),),
    ("dukcapil", "imigrasi"),
    CODES,
    0.8,
    "many-to-many",
    3600,
)

# Name of the field in the error -> values that break its rule.
WRONG: dict[str, list[dict[str, object]]] = {
    "agreement_id": [{"agreement_id": ""}],
    "agreement_sha256": [{"agreement_sha256": bytes(n)} for n in (0, 31, 33)],
    "purpose": [{"purpose": text} for text in ("", "a b", "/", "a" * 65)],
    "attributes": [
        {"attributes": ()},
        {"attributes": (("nama", "nama"),) * 2},
        {"attributes": (("Budi Santoso", "nama"),)},
        {"attributes": (("nama", ""),)},
        {"attributes": tuple((f"a{i}", "nama") for i in range(MAX_ATTRIBUTES + 1))},
    ],
    "parties": [
        {"parties": ()},
        {"parties": ("dukcapil",)},
        {"parties": ("dukcapil", "dukcapil")},
        {"parties": tuple(f"p{i}" for i in range(MAX_PARTIES + 1))},
    ],
    "results (each source": [
        {"results": results}
        for results in (
            (("dukcapil", "imigrasi", "R1"),) * 2,
            (("dukcapil", "imigrasi", "R1"), ("dukcapil", "imigrasi", "R3")),
            (("dukcapil", "dukcapil", "R1"),),
            (("setneg", "imigrasi", "R1"),),
            (("dukcapil", "setneg", "R1"),),
            (("coordinator", "imigrasi", "R0"),),
            (("dukcapil", "imigrasi", "R5"),),
        )
    ],
    "results (no more than R0": [{"results": (("dukcapil", "coordinator", "R1"),)}],
    "results (R2 with two rounds": [{"results": (("dukcapil", "imigrasi", "R2"),)}],
    "schema_id": [{"codes": replace(CODES, schema_id=bytes(n))} for n in (0, 31, 33)],
    "epoch": [{"codes": replace(CODES, epoch=epoch)} for epoch in (0, -1)],
    "key_check": [{"codes": replace(CODES, key_check=bytes(n))} for n in (0, 7, 9)],
    "scheme": [
        {"codes": replace(CODES, scheme=s)}  # type: ignore[arg-type]
        for s in ("", "CLK", "md5")
    ],
    "code_bits": [{"codes": replace(CODES, code_bits=n)} for n in (0, 448, 32832, 1000, -512)],
    "block_entries (0 to": [
        {"codes": replace(CODES, block_entries=n, block_copies=3, block_bytes=4)}
        for n in (-1, MAX_ENTRIES + MAX_EXACT_SLOTS + 1)
    ],
    "block_copies (0 to": [
        {"codes": replace(CODES, block_entries=1, block_copies=n, block_bytes=4)} for n in (-1, 17)
    ],
    "block_bytes (0 to": [
        {"codes": replace(CODES, block_entries=1, block_copies=3, block_bytes=n)} for n in (-1, 9)
    ],
    "block_copies and block_bytes": [
        {"codes": replace(CODES, block_entries=e, block_copies=c, block_bytes=b)}
        for e, c, b in ((1, 0, 4), (1, 3, 0), (1, 0, 0), (0, 3, 4))
    ],
    "exact_slots (0 to": [{"codes": replace(CODES, exact_slots=n)} for n in (-1, 9)],
    "threshold": [{"threshold": t} for t in (0.0, -0.1, 1.0001, float("nan"), float("inf"))],
    "collect_timeout_s": [{"collect_timeout_s": s} for s in (0, -1, MAX_COLLECT_S + 1)],
    "candidates (1 to": [
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, candidates=n)}
        for n in (0, -1, MAX_CANDIDATES + 1)
    ],
    "types (1 to": [
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, types=types)}
        for types in ((), ("name", "nik"), ("nome",), ("name",) * (MAX_ATTRIBUTES + 1))
    ],
    "identifiers (0 to": [
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, identifiers=types)}
        for types in (("nome",), ("name",), ("nik", "email"), ("nik",) * (MAX_EXACT_SLOTS + 1))
    ],
    "block_entries (1 or more, with two rounds)": [{"refinement": REFINEMENT}],
    "exact_slots (0, with two rounds)": [
        {"codes": replace(BLOCKED, exact_slots=n), "refinement": REFINEMENT}
        for n in (1, MAX_EXACT_SLOTS)
    ],
}
CASES = [(name, change) for name, changes in WRONG.items() for change in changes]


def wrong_in(spec: JobSpec) -> str:
    with pytest.raises(MalformedMessageError) as caught:
        spec.check()
    return str(caught.value)


def test_block_tokens_of_a_single_byte_are_refused() -> None:
    codes = replace(CODES, block_entries=1, block_copies=3, block_bytes=1)
    assert "block_bytes (2 or more" in wrong_in(replace(SPEC, codes=codes))


def test_a_right_specification_passes() -> None:
    SPEC.check()


@pytest.mark.parametrize(
    "change",
    [
        {"parties": tuple(f"p{i}" for i in range(MAX_PARTIES))},
        {"codes": replace(CODES, code_bits=512)},
        {"codes": replace(CODES, code_bits=8192)},
        {"threshold": 1.0},
        {"threshold": 5e-324},
        {"collect_timeout_s": 1},
        {"collect_timeout_s": MAX_COLLECT_S},
        {"cardinality": "one-to-one"},
        {"cardinality": "one-to-many"},
        {"codes": replace(CODES, block_entries=MAX_ENTRIES, block_copies=16, block_bytes=8)},
        {"codes": BLOCKED, "refinement": REFINEMENT},
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, candidates=1, decoys=False)},
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, candidates=MAX_CANDIDATES)},
        {"codes": BLOCKED, "refinement": replace(REFINEMENT, types=("name",) * MAX_ATTRIBUTES)},
        {
            "codes": BLOCKED,
            "refinement": replace(REFINEMENT, identifiers=("nik",) * MAX_EXACT_SLOTS),
        },
    ],
)
def test_the_ends_of_every_range_pass(change: dict[str, object]) -> None:
    replace(SPEC, **change).check()  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "change"), CASES)
def test_a_wrong_field_is_named_and_no_other(name: str, change: dict[str, object]) -> None:
    text = wrong_in(replace(SPEC, **change))  # type: ignore[arg-type]
    assert name in text
    assert not [other for other in WRONG if other != name and other in text]


def test_every_wrong_field_is_named_at_once() -> None:
    codes = CodeId(b"", 0, b"", "none", 1, -1, 17, -1, -1)  # type: ignore[arg-type]
    text = wrong_in(
        JobSpec(
            *("", b"", "", (), (), codes, 0, "many-to-many", 0),
            Refinement(0, True, (), ("name",)),
            (("a", "coordinator", "R2"),),
        )
    )
    # Counts of block tokens that are all out of their range cannot contradict each other.
    # And what is wrong of R2 in a job of one round is not in one of two.
    assert [name for name in WRONG if name not in text] == [
        "results (R2 with two rounds",
        "block_copies and block_bytes",
    ]


def test_a_specification_comes_back_from_json_and_an_older_one_tells_nobody_anything() -> None:
    told = replace(SPEC, results=(("dukcapil", "imigrasi", "R1"),))
    assert JobSpec.from_json(told.to_json()) == told
    older = {name: value for name, value in told.to_json().items() if name != "results"}
    assert JobSpec.from_json(older) == SPEC


def test_the_error_does_not_repeat_values() -> None:
    assert "SENTINEL" not in wrong_in(replace(SPEC, parties=("SENTINEL", "SENTINEL")))


def test_codes_of_one_kind_are_comparable() -> None:
    CODES.check_same(replace(CODES), "the job")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"schema_id": b"t" * 32}, SchemaMismatchError),
        ({"scheme": "other"}, SchemaMismatchError),
        ({"code_bits": 2048}, SchemaMismatchError),
        ({"block_entries": 1}, SchemaMismatchError),
        ({"block_copies": 1}, SchemaMismatchError),
        ({"block_bytes": 1}, SchemaMismatchError),
        ({"exact_slots": 1}, SchemaMismatchError),
        ({"epoch": 2}, KeyMismatchError),
        ({"key_check": b"l" * 8}, KeyMismatchError),
        # The schema decides the keys: where both differ, the schema is the cause.
        ({"schema_id": b"t" * 32, "key_check": b"l" * 8}, SchemaMismatchError),
    ],
)
def test_codes_that_differ_are_refused_for_the_reason(
    change: dict[str, object], error: type[Exception]
) -> None:
    other = replace(CODES, **change)  # type: ignore[arg-type]
    for one, two in ((CODES, other), (other, CODES)):
        with pytest.raises(error, match="than the job: ") as caught:
            one.check_same(two, "the job")
        assert type(caught.value) is error
        assert b"k".hex() * 8 not in str(caught.value)


def test_no_field_of_the_code_id_is_left_out_of_the_comparison() -> None:
    assert {f.name for f in fields(CodeId)} == {
        "schema_id",
        "scheme",
        "code_bits",
        "block_entries",
        "block_copies",
        "block_bytes",
        "exact_slots",
        "epoch",
        "key_check",
    }


def test_five_states_are_final() -> None:
    assert {state.value for state in JobState if state.final} == {
        "released",
        "denied",
        "failed",
        "expired",
        "cancelled",
    }


def test_the_parties_that_have_not_uploaded_are_missing_in_their_order() -> None:
    spec = replace(SPEC, parties=("c", "a", "b"))
    job = Job("j", "a", spec, JobState.COLLECTING, 0, 1, uploaded=("a",))
    assert job.missing == ("c", "b")
    assert replace(job, uploaded=("b", "a", "c")).missing == ()


def test_an_owner_answers_for_its_candidates_and_a_few_pairs_drawn_at_random() -> None:
    assert DRAWN_PER_RECORD == 2
    assert REFINEMENT.pairs_per_record == 12


def test_what_a_record_takes_in_a_chunk() -> None:
    codes = replace(CODES, block_entries=7, block_copies=3, block_bytes=5, exact_slots=2)
    assert codes.record_bytes == 16 + 1024 // 8 + 2 * 16
    assert codes.token_row_bytes == 15
