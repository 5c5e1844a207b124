"""The units of contrib/systemd: systemd takes them, and they run commands that there are."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from linkage.cli import padan

FOLDER = Path(__file__).parents[2] / "contrib" / "systemd"
UNITS = sorted(FOLDER.iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
# Of 100, as `systemd-analyze security` counts: an ordinary service has 96.
MOST_EXPOSED = 20


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze: apt install systemd")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def test_there_are_units_for_all_that_runs_by_itself() -> None:
    names = {unit.name for unit in UNITS}
    assert names == {
        "padan-matcher.service", "padan-agent.service", "padan-agent.timer",
        "padan-witness.service",
    }  # fmt: skip


def test_systemd_takes_them(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/padan/bin/padan", shutil.which("true") or "/bin/true")
        (tmp_path / unit.name).write_text(text)
    for unit in UNITS:
        done = analyze("verify", "--man=no", tmp_path / unit.name)
        # Of other units on this machine it may say what it likes.
        said = [line for line in done.stderr.splitlines() if "padan" in line]
        assert said == [], said


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_services_are_hardened(unit: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_services_run_commands_that_there_are(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=/opt/padan/bin/padan (.*)$", unit.read_text(), re.MULTILINE)
    command: click.Command = padan
    words = line.split()
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context("padan", words)  # raises on an option that there is not


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_no_secret_stands_in_a_unit(unit: Path) -> None:
    parsed = configparser.RawConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    assert "LoadCredential" in parsed["Service"]
    assert not re.search(r"(?i)password|secret|token", parsed["Service"].get("Environment", ""))
