"""Keys that were closed, looked for in the memory of the process that had them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keys.keystore import new_header, write_keystore
from keys.passphrase import Cost, PassphraseProvider
from keys.providers import FileProvider, KeyProvider, create_key_file

# The child never gets the key from outside but from the keystore, and says when to look.
_CHILD = """
import gc, sys
from pathlib import Path
from keys.derive import KeyContext, LinkageKey
from keys.door import open_provider
from keys.keystore import unsealed

def look(at):
    print(at, flush=True)
    sys.stdin.readline()

provider = open_provider(sys.argv[2])
with unsealed(Path(sys.argv[1]), provider) as (header, secret):
    key = LinkageKey(secret, KeyContext("PKS-1", bytes(32), "paspor", 1))
look("open")
{use}
key.wipe()
provider.close()
gc.collect()
look("closed")
"""
_USE = """
for number in range(200):
    key.space_key(f"name{number}"); key.refine_key("job", "a", f"b{number}")
"""


def write_key(folder: Path, provider: KeyProvider) -> tuple[Path, bytes]:
    secret = os.urandom(32)
    write_keystore(folder / "linkage.key", secret, new_header("linkage", provider), provider)
    return folder / "linkage.key", secret


def places_of(needle: bytes, pid: int) -> int:
    """How often some bytes stand in the writable memory of a process."""
    found = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(edge, 16) for edge in span.split("-"))
            try:
                memory.seek(start)
                found += memory.read(end - start).count(needle)
            except (OSError, OverflowError):
                continue  # a mapping of the kernel's own
    return found


def look_for(needles: list[bytes], path: Path, setting: str, use: str) -> list[tuple[int, ...]]:
    """How often each of some secrets stands in the memory of a child: key open, and closed."""
    command = [sys.executable, "-c", _CHILD.format(use=use), str(path), setting]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        counts = []
        for at in ("open", "closed"):
            assert child.stdout.readline().strip() == at
            counts.append(tuple(places_of(needle, child.pid) for needle in needles))
            child.stdin.write("\n")
            child.stdin.flush()
        assert child.wait(60) == 0
    return counts


@pytest.fixture(autouse=True)
def _linux() -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc/PID/mem, as Linux has it")


@pytest.mark.parametrize("use", ["", _USE], ids=["unused", "used"])
def test_a_wiped_key_is_not_in_memory_any_more(tmp_path: Path, use: str) -> None:
    create_key_file(tmp_path / "kek")
    path, secret = write_key(tmp_path, FileProvider(tmp_path / "kek"))
    kek = (tmp_path / "kek").read_bytes()
    opened, closed = look_for([secret, kek], path, f"file:{tmp_path / 'kek'}", use)
    assert opened[0] >= 1, "the scan does not find what is there"
    assert closed == (0, 0)


def test_a_closed_passphrase_provider_leaves_no_key(tmp_path: Path) -> None:
    provider = PassphraseProvider(bytearray(b"enam kata acak"), Cost(64 * 1024, 1, 1))
    path, secret = write_key(tmp_path, provider)
    (tmp_path / "pass").write_bytes(b"enam kata acak")
    (tmp_path / "pass").chmod(0o600)
    opened, closed = look_for([secret], path, f"passphrase:file:{tmp_path / 'pass'}", "")
    assert opened[0] >= 1
    assert closed == (0,)
