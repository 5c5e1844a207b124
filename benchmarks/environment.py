"""What a result was measured with: commit, processor, versions, date, command."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peer_env import ROOT

_PACKAGES = ("padan", "numpy", "numba", "pyarrow", "recordlinkage", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Environment:
    """What a result was measured with.

    Attributes:
        date: day, UTC.
        commit: the commit, with `+changes` where the working tree of the product differs.
        cpu: model of the processor.
        cores: cores that the benchmark may use.
        python: version.
        versions: of packages, those that are installed.
        command: how to run it again.
    """

    date: str
    commit: str
    cpu: str
    cores: int
    python: str
    versions: dict[str, str]
    command: str


def read_environment(command: str) -> Environment:
    """Return what this process runs in and on."""
    return Environment(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        python=platform.python_version(),
        versions={name: found for name in _PACKAGES if (found := _version(name))},
        command=command,
    )


def _commit() -> str:
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}+changes" if _git("status", "--porcelain", "linkage", "keys") else commit


def _git(*arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    done = subprocess.run(
        [git, "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
