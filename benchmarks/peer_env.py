"""The peers' own virtual environment, made on first use under `.cache/peers`.

The peers need older libraries than the product, so nothing of theirs is ever imported
here: `peers` starts programs inside this environment.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = Path(__file__).parent / "peer_requirements.txt"
FOLDER = ROOT / ".cache" / "peers" / "clkhash"


class MissingPeerError(Exception):
    """The peers are not here and cannot or may not be installed: they are skipped."""


def peer_python(install: bool) -> Path:
    """Return the interpreter of the peers' environment.

    Args:
        install: make the environment if it is not there, or was made of other versions.

    Raises:
        MissingPeerError: it is not there, or cannot be made.
    """
    python = FOLDER / "bin" / "python"
    # Written last, so that an installation that was cut off is made again.
    made_of = FOLDER / "requirements.sha256"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and made_of.exists() and made_of.read_text() == digest:
        return python
    if not install:
        raise MissingPeerError("its environment is not installed")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(FOLDER)])
    _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)])
    made_of.write_text(digest)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise MissingPeerError(f"its environment cannot be installed: {last[0]}")
