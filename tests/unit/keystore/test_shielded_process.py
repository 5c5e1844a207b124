"""A process that holds keys leaves no core file, and lets nobody look in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SHIELDED = """
import resource, sys
from keys.process import is_shielded, shield_process
before = is_shielded()
shield_process()
shield_process()
print(before, is_shielded(), resource.getrlimit(resource.RLIMIT_CORE), flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="dumpable is Linux's word")
def test_a_shielded_process_is_closed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SHIELDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "False True (0, 0)\n"
        # A process that is not dumpable belongs to root, whoever runs it (proc(5)).
        assert Path(f"/proc/{child.pid}/environ").stat().st_uid == 0
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                Path(f"/proc/{child.pid}/mem").read_bytes()
        child.communicate("\n", timeout=60)
