"""The log benchmark at a tiny size."""

from benchmarks.log import BATCHES, WITNESSES, log_table, measure_log


def test_the_benchmark_appends_cosigns_and_verifies() -> None:
    steps: list[str] = []
    result = measure_log(300, 0.001, 1, steps.append)
    assert set(result.appends_per_s) == set(result.publish_ms) == set(BATCHES)
    assert all(rate > 0 for rate in result.appends_per_s.values())
    assert (result.entries, result.witnesses) == (300, WITNESSES)
    assert set(result.verify_s) == {"padan audit verify", "contrib/verify.py"}
    assert result.proof_ms > 0
    assert len(steps) == len(BATCHES) + 5
    assert len(log_table(result).rows) == 4 * len(BATCHES) + 4
    assert set(result.to_dict()["bars"]) == {"verify_s", "appends_per_s", "proof_ms"}
