"""Where secrets come from: a terminal, a descriptor, a file, and nowhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from keys.errors import KeystoreError
from keys.secretsource import MAX_SECRET_BYTES, SecretSource

# A terminal of its own: the parent's is not there in a test run.
_ASK = """
import os, sys
from keys.secretsource import SecretSource
if os.isatty(0):
    os.close(os.open(os.ttyname(0), os.O_RDWR))  # the session's first becomes its own
try:
    secret = SecretSource("prompt", "PIN of token padan").read(confirm=len(sys.argv) > 1)
    print("read", len(secret))
except Exception as error:
    print(type(error).__name__, error)
"""


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def ask(typed: bytes, *arguments: str) -> str:
    """What a process prints and shows that asks for a secret at a terminal."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", _ASK, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown = b""
    try:
        for line in typed.splitlines(keepends=True):
            while not shown.rstrip(b" ").endswith(b":"):
                shown += os.read(leader, 1024)
            os.write(leader, line)
            shown += b"|"
        while True:
            shown += os.read(leader, 1024)
    except OSError:  # the child's end is closed
        pass
    finally:
        os.close(leader)
        child.wait(60)
    return shown.decode()


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_a_secret_in_a_file_ends_before_its_line_break(tmp_path: Path, ending: bytes) -> None:
    path = secret_file(tmp_path, b" rahasia \n2" + ending)
    assert SecretSource(f"file:{path}", "PIN").read() == b" rahasia \n2"
    assert SecretSource("file:secret", "PIN", tmp_path).read() == b" rahasia \n2"


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    source = SecretSource(f"file:{secret_file(tmp_path, b'old')}", "token")
    assert (source.rereads, source.read()) == (True, b"old")
    secret_file(tmp_path, b"new")
    assert source.read() == b"new"


def test_a_secret_comes_through_a_descriptor() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"rahasia\n")
    os.close(writer)
    source = SecretSource(f"fd:{reader}", "PIN")
    assert (source.rereads, source.read()) == (False, b"rahasia")
    os.close(reader)
    with pytest.raises(KeystoreError, match=f"PIN: descriptor {reader} cannot be read"):
        source.read()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, b"rahasia", mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        SecretSource(f"file:{path}", "PIN").read()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(KeystoreError, match="name a readable key file"):
            SecretSource(f"file:{path}", "PIN").read()


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeystoreError, match="PIN: empty"):
        SecretSource(f"file:{secret_file(tmp_path, content)}", "PIN").read()


def test_a_secret_of_no_end_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path, b"x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(KeystoreError, match="longer than 4096 bytes"):
        SecretSource(f"file:{path}", "PIN").read()
    with path.open("rb") as file, pytest.raises(KeystoreError, match="longer than 4096 bytes"):
        SecretSource(f"fd:{file.fileno()}", "PIN").read()


@pytest.mark.parametrize(
    "text", ["", "rahasia", "prompt:rahasia", "env:PADAN_PIN", "fd:", "fd:x", "fd:-1", "file:"]
)
def test_a_setting_that_could_be_the_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeystoreError, match="fd:NUMBER, file:PATH or credential:NAME") as caught:
        SecretSource(text, "PIN")
    assert "rahasia" not in str(caught.value)


def test_what_is_typed_is_not_shown() -> None:
    shown = ask(b"rahasia sekali\n")
    assert "PIN of token padan: " in shown
    assert "read 14" in shown
    assert "rahasia" not in shown


def test_a_new_secret_is_typed_twice() -> None:
    assert "read 7" in ask(b"rahasia\nrahasia\n", "confirm")
    shown = ask(b"rahasia\nrahasai\n", "confirm")
    assert "typed differently the second time" in shown
    assert "rahas" not in shown


def test_without_a_terminal_nobody_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        input="rahasia\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
        timeout=60,
    )
    assert "there is no terminal to ask at: use fd:NUMBER or file:PATH" in done.stdout
    assert "rahasia" not in done.stdout + done.stderr


def test_a_credential_of_systemd_is_read_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its access list for the service's user shows as a right of the group."""
    path = secret_file(tmp_path, b"rahasia")
    path.chmod(0o440)
    with pytest.raises(KeystoreError, match="LoadCredential"):
        SecretSource(f"credential:{path.name}", "PIN")
    with pytest.raises(KeystoreError, match="chmod 600"):
        SecretSource(f"file:{path}", "PIN").read()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert SecretSource(f"credential:{path.name}", "PIN").read() == b"rahasia"
    path.chmod(0o444)
    with pytest.raises(KeystoreError, match="chmod 600"):
        SecretSource(f"credential:{path.name}", "PIN").read()
    with pytest.raises(KeystoreError, match="name"):
        SecretSource("credential:../x", "PIN")
