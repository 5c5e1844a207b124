"""Job specifications and states: every rule named, every difference told."""

from dataclasses import fields, replace

import pytest

from linkage.errors import KeyMismatchError, MalformedMessageError, SchemaMismatchError
from linkage.job import MAX_COLLECT_S, MAX_PARTIES, CodeId, Job, JobSpec, JobState

CODES = CodeId(schema_id=b"s" * 32, epoch=1, key_check=b"k" * 8, scheme="clk", code_bits=1024)
SPEC = JobSpec("pks/1", ("dukcapil", "imigrasi"), CODES, 0.8, "many-to-many", 3600)

# Name of the field in the error -> values that break its rule.
WRONG = {
    "agreement_id": [{"agreement_id": ""}],
    "parties": [
        {"parties": ()},
        {"parties": ("dukcapil",)},
        {"parties": ("dukcapil", "dukcapil")},
        {"parties": tuple(f"p{i}" for i in range(MAX_PARTIES + 1))},
    ],
    "schema_id": [{"codes": replace(CODES, schema_id=bytes(n))} for n in (0, 31, 33)],
    "epoch": [{"codes": replace(CODES, epoch=epoch)} for epoch in (0, -1)],
    "key_check": [{"codes": replace(CODES, key_check=bytes(n))} for n in (0, 7, 9)],
    "scheme": [{"codes": replace(CODES, scheme=s)} for s in ("", "CLK", "md5")],
    "code_bits": [{"codes": replace(CODES, code_bits=n)} for n in (0, 448, 32832, 1000, -512)],
    "block_slots": [{"codes": replace(CODES, block_slots=n)} for n in (-1, 33)],
    "exact_slots": [{"codes": replace(CODES, exact_slots=n)} for n in (-1, 9)],
    "threshold": [{"threshold": t} for t in (0.0, -0.1, 1.0001, float("nan"), float("inf"))],
    "collect_timeout_s": [{"collect_timeout_s": s} for s in (0, -1, MAX_COLLECT_S + 1)],
}
CASES = [(name, change) for name, changes in WRONG.items() for change in changes]


def wrong_in(spec: JobSpec) -> str:
    with pytest.raises(MalformedMessageError) as caught:
        spec.check()
    return str(caught.value)


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
    codes = CodeId(b"", 0, b"", "none", 1, -1, -1)  # type: ignore[arg-type]
    text = wrong_in(JobSpec("", (), codes, 0, "many-to-many", 0))
    assert all(name in text for name in WRONG)


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
        "block_slots",
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
