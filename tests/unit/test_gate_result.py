import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from linkage.errors import MalformedMessageError
from linkage.gate import Figure, GateResult, Refusal, accepts, parse_result, profile_digest
from linkage.log.canonical import format_json

MADE = datetime(2026, 11, 22, 6, 0, 0, tzinfo=UTC)
UNTIL = MADE + timedelta(days=60)
SCHEMA = bytes(range(32))


def rate(attack: str, value: float, bound: float) -> Figure:
    return Figure(attack, "200 known", value, 0.005, "passed", 0.0002, (0.0, bound), bound, 1.0)


def figure(verdict: str = "passed") -> Figure:
    return Figure("A5 lint", "a column's mean off 1/2", 0.02, 0.05, verdict)  # type: ignore[arg-type]


RESULT = GateResult(
    SCHEMA, "7", "3", 4, bytes(32), "quick", 1, 5000, 4600,
    (rate("A3 ridge", 0.0004, 0.0015), rate("A3 matched kernel", 0.0012, 0.0026), figure()),
    MADE, UNTIL,
)  # fmt: skip


def test_a_result_is_read_as_it_was_written() -> None:
    data = RESULT.to_bytes()
    assert parse_result(data) == RESULT
    assert parse_result(data).digest() == RESULT.digest()
    assert len(RESULT.digest()) == 32


def test_everything_changes_the_digest() -> None:
    others = [
        replace(RESULT, epoch=5),
        replace(RESULT, schema_id=bytes(32)),
        replace(RESULT, source_profile=SCHEMA),
        replace(RESULT, n_made_up=0),
        replace(RESULT, valid_until=UNTIL + timedelta(seconds=1)),
        replace(RESULT, figures=(*RESULT.figures, figure("exceeded"))),
    ]
    assert len({result.digest() for result in [RESULT, *others]}) == len(others) + 1


def test_the_highest_rate_is_the_one_with_the_highest_bound() -> None:
    highest = RESULT.highest
    assert highest is not None
    assert (highest.attack, highest.bound) == ("A3 matched kernel", 0.0026)
    assert json.loads(RESULT.to_bytes())["highest"]["rate"] == 0.0012


def changed(**members: object) -> bytes:
    return format_json({**json.loads(RESULT.to_bytes()), **members})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "data",
    [
        RESULT.to_bytes() + b"\n",
        RESULT.to_bytes()[:-1],
        b"[]",
        changed(more=1),
        changed(v=2),
        changed(v=True),
        changed(epoch=-1),
        changed(epoch=1.5),
        changed(schema_id="AB" * 32),
        changed(schema_id="ab" * 31),
        changed(figures=[]),
        changed(figures=[{"attack": "A3"}]),
        changed(figures=[{**figure().to_json(), "verdict": "fine"}]),
        changed(figures=[{**figure().to_json(), "interval": [0.5, 0.1]}]),
        changed(figures=[{**figure().to_json(), "value": "much"}]),
        changed(highest=None),
        changed(made_at="2026-11-22T06:00:00+00:00"),
        changed(made_at="2026-02-30T06:00:00Z"),
        changed(valid_until="2026-11-21T06:00:00Z"),
        changed(made_up=5001),
        changed(level=""),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_result(data)


def test_a_result_that_could_not_be_read_is_not_written() -> None:
    for wrong in (
        replace(RESULT, made_at=MADE.replace(tzinfo=None)),
        replace(RESULT, made_at=MADE.replace(microsecond=1)),
        replace(RESULT, schema_id=b"short"),
        replace(RESULT, figures=(replace(figure(), value=float("nan")),)),
    ):
        with pytest.raises(MalformedMessageError):
            wrong.to_bytes()


@pytest.mark.parametrize(
    ("result", "limit", "when", "refusal"),
    [
        (RESULT, 0.005, MADE, None),
        (RESULT, 0.0026, MADE, None),
        (RESULT, 0.0025, MADE, "GATE_RATE"),
        (RESULT, 0.005, MADE - timedelta(seconds=1), "GATE_NOT_YET_VALID"),
        (RESULT, 0.005, UNTIL, "GATE_EXPIRED"),
        (replace(RESULT, schema_id=bytes(32)), 0.005, MADE, "GATE_OTHER_SCHEMA"),
        (replace(RESULT, epoch=3), 0.005, MADE, "GATE_OTHER_EPOCH"),
        (replace(RESULT, figures=(*RESULT.figures, figure("void"))), 0.005, MADE, "GATE_VOID"),
        (replace(RESULT, figures=(figure(),)), 0.005, MADE, "GATE_VOID"),
        (
            replace(RESULT, figures=(*RESULT.figures, figure("exceeded"))),
            0.5,
            MADE,
            "GATE_STRUCTURE",
        ),
        # Waived, for the textbook scheme: found out, and accepted.
        (replace(RESULT, figures=(rate("A3 ridge", 1, 1), figure("exceeded"))), 1.0, MADE, None),
    ],
)
def test_what_opens_the_way(
    result: GateResult, limit: float, when: datetime, refusal: Refusal | None
) -> None:
    assert accepts(result, SCHEMA, 4, limit, when) == refusal


def test_a_profile_holds_counts_and_tells_states_apart() -> None:
    counts = {"nama": (90, 80), "tgl_lahir": (100, 70)}
    assert profile_digest(100, counts) == profile_digest(100, dict(reversed(counts.items())))
    assert profile_digest(100, counts) != profile_digest(101, counts)
    assert profile_digest(100, counts) != profile_digest(100, {**counts, "nama": (90, 79)})


def test_reading_a_result_needs_nothing_that_made_it() -> None:
    show = "import linkage.gate, json, sys; print(json.dumps(sorted(sys.modules)))"
    shown = subprocess.run(
        [sys.executable, "-c", show], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {module.split(".")[0] for module in json.loads(shown.stdout)}
    assert not loaded & {"numpy", "numba", "pyarrow", "grpc", "pydantic", "sqlalchemy"}
    assert not [m for m in json.loads(shown.stdout) if m.startswith("linkage.privacy")]
