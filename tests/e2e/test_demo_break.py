"""What must not be possible, through the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from linkage.cli.demo_break import BREAKS


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_refused_with_its_code_and_stands_in_the_log(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "linkage.cli", "demo", "--break", name, "--json",
         "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["refused"]
    assert result["break"] == name
    assert result["code"] == BREAKS[name].code
    assert isinstance(result["leaf"], int)
    assert bool(result["rules"]) == (name != "revoked")
