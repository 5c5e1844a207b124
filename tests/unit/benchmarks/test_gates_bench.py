from dataclasses import replace

from benchmarks.gates import DEFAULT, GatesResult, gates_table
from linkage.privacy.outcome import Outcome

PASSED = Outcome(
    "A1 blind", "overlap 90%", 0.001, 0.005, False, 0.0002, (0.0005, 0.002), 0.002, 0.98
)


def result_of(*outcomes: Outcome) -> GatesResult:
    return GatesResult({"a set": 5_000}, {("a set", DEFAULT.name): list(outcomes)})


def test_a_default_that_passes_is_what_must_be() -> None:
    result = result_of(PASSED)
    assert result.failed == []
    (row,) = gates_table(result).rows
    assert row[:2] == ["a set, A1 blind, overlap 90%", "0.10 (0.20)"]
    assert row[-3:] == ["0.50", "0.02", "98.00"]


def test_what_is_exceeded_or_void_or_beside_a_weak_control_is_told() -> None:
    exceeded = replace(PASSED, exceeded=True)
    void = replace(PASSED, unbroken=True)
    weak = replace(PASSED, control=0.94)
    assert result_of(exceeded).failed == ["a set: A1 blind, overlap 90%: exceeded"]
    assert result_of(void).failed == ["a set: A1 blind, overlap 90%: void"]
    assert result_of(weak).failed == ["a set: A1 blind, overlap 90%: control 0.940, at least 0.95"]
    assert "!" in gates_table(result_of(exceeded)).rows[0][1]


def test_a_control_without_a_bar_is_left_to_the_gate() -> None:
    other = replace(PASSED, attack="A3 ridge", control=0.9)
    assert result_of(other).failed == []
