"""The peers' own virtual environments, made on first use under `.cache/peers`.

The peers need other libraries than the product, so nothing of theirs is ever imported
here: `peers` and `splink` start programs inside these environments.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

Peer = Literal["clkhash", "splink"]

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".cache" / "peers"
_REQUIREMENTS: dict[Peer, Path] = {
    "clkhash": Path(__file__).parent / "peer_requirements.txt",
    "splink": Path(__file__).parent / "splink_requirements.txt",
}


class MissingPeerError(Exception):
    """The peers are not here and cannot or may not be installed: they are skipped."""


def peer_python(install: bool, peer: Peer = "clkhash") -> Path:
    """Return the interpreter of a peer's environment.

    Args:
        install: make the environment if it is not there, or was made of other versions.
        peer: whose environment.

    Raises:
        MissingPeerError: it is not there, or cannot be made.
    """
    folder, requirements = FOLDER / peer, _REQUIREMENTS[peer]
    python = folder / "bin" / "python"
    # Written last, so that an installation that was cut off is made again.
    made_of = folder / "requirements.sha256"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if python.exists() and made_of.exists() and made_of.read_text() == digest:
        return python
    if not install:
        raise MissingPeerError("its environment is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    made_of.write_text(digest)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise MissingPeerError(f"its environment cannot be installed: {last[0]}")
