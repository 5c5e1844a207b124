"""The ceremony at a terminal: officers see their shares one by one, and type them again."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keys.keystore import new_header, write_keystore
from keys.providers import FileProvider, create_key_file

pytest.importorskip(
    "shamir_mnemonic", reason="needs shamir-mnemonic: pip install 'padan[recovery]'"
)

_SHARE = re.compile(r"(?:[a-z]+ ){32}[a-z]+")


def at_a_terminal(arguments: list[str], prompt: str, answers: list[str]) -> str:
    """What a terminal of great width shows while each prompt is answered with a line."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "linkage.cli", "keys", "recovery", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(follower)
    shown, answered = "", 0
    try:
        while True:
            shown += os.read(leader, 4096).decode()
            while answered < len(answers) and shown.count(prompt) > answered:
                os.write(leader, f"{answers[answered]}\n".encode())
                answered += 1
    except OSError:  # the child's end is closed
        pass
    finally:
        os.close(leader)
        assert child.wait(60) == 0, shown
    return shown


@pytest.fixture
def own(tmp_path: Path) -> Path:
    create_key_file(tmp_path / "own-kek")
    provider = FileProvider(tmp_path / "own-kek")
    write_keystore(tmp_path / "seal.key", bytes(96), new_header("seal", provider), provider)
    return tmp_path


def test_shares_are_shown_and_typed_again(own: Path) -> None:
    opens = ["--opens", str(own / "seal.key")]
    shown = at_a_terminal(
        ["split", "--key-file", str(own / "own-kek"), *opens, "--group", "2of3"],
        "press Enter ",
        [""] * 6,
    )
    shares = _SHARE.findall(shown)
    assert len(set(shares)) == 3
    assert [f"share 1-{n}: only its holder" in shown for n in (1, 2, 3)] == [True] * 3
    misspelt = shares[2].replace(shares[2].split()[7], "rahasia")
    shown = at_a_terminal(
        ["join", *opens, "--out", str(own / "again")],
        "that was all)",
        [misspelt, shares[2], shares[0], ""],
    )
    assert "a word is misspelt, missing or doubled: type it again" in shown
    assert (own / "again").read_bytes() == (own / "own-kek").read_bytes()
