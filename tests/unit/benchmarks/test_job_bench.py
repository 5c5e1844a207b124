"""A tiny job through real processes is measured; processes are watched by name."""

import json
import subprocess
import sys

from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.processes import MemoryWatch


def test_a_tiny_job_counts_bytes_memory_and_links() -> None:
    options = ["--records", "150", "--candidates", "3", "--scheme", "saul", "--json"]
    done = CliRunner().invoke(main, ["job", *options], catch_exceptions=False)
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    assert result["records"] == {"dukcapil": 150, "imigrasi": 150}
    assert set(result["peak_mib"]) == {"matcher", "agent dukcapil", "agent imigrasi"}
    assert all(mib > 50 for mib in result["peak_mib"].values())
    assert all(n > 0 for n in result["sent"].values())
    # Of a ticket 13 bytes go up, and one more comes down where it is asked about.
    assert result["sent"]["up: tickets"] % 13 == 0
    assert result["sent"]["down: questions"] % 14 == 0
    assert sum(result["phases"].values()) <= result["seconds"] + 1
    assert result["quality"]["f1"] > 0.9


def test_children_are_watched_by_the_names_they_are_given() -> None:
    program = "import time; kept = b'x' * 30_000_000; time.sleep(1)"
    with MemoryWatch(lambda words: "it" if program in words else None) as watch:
        subprocess.run([sys.executable, "-c", program], check=True)
    assert list(watch.peak_mib) == ["it"]
    assert watch.peak_mib["it"] > 30
