"""The benchmarks of the log at a tiny size."""

import pytest

from benchmarks.audit import JOBS, audit_table, measure_audit
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


@pytest.mark.soak
def test_the_benchmark_verifies_and_replays_real_decisions() -> None:
    """A matcher's worth of work makes the log first, in half a minute."""
    result = measure_audit(300)
    assert result.leaves >= 300
    assert {"job.deny", "lookup.minute", "release", "job.refuse"} <= result.types.keys()
    assert result.decisions > result.signatures > 0
    assert set(result.verify) == set(result.replay) == set(JOBS)
    assert len(audit_table(result).rows) == 2 * len(JOBS) + 2
