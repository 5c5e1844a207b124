"""Secrets of keystores, looked for where they must never be."""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import keys
from keys.door import open_provider
from keys.errors import KeysError
from keys.keystore import new_header, open_keystore, unsealed, write_keystore
from keys.kinds import public_half
from keys.passphrase import Cost, PassphraseProvider
from keys.providers import FileProvider
from keys.secretsource import SecretSource

PHRASE = "planted-passphrase-7731"
SECRET = bytes(range(160, 192))
PROC = Path("/proc")


def planted(folder: Path) -> list[bytes]:
    """Every spelling in which the planted secrets could show up."""
    found = [PHRASE.encode(), PHRASE.encode().hex().encode(), repr(SECRET)[2:-1].encode()]
    for kek in folder.glob("own-kek*"):
        found += [kek.read_bytes(), kek.read_bytes().hex().encode()]
    return [*found, SECRET, SECRET.hex().encode()]


def watch(command: list[str], secret: bytes, folder: Path) -> tuple[int, bytes]:
    """Run a command that reads a secret from a descriptor, and look at it while it runs."""
    reader, writer = os.pipe()
    command = [part.replace("FD", str(reader)) for part in command]
    with (folder / "said").open("wb") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "linkage.cli", *command],
            stdout=said,
            stderr=subprocess.STDOUT,
            pass_fds=(reader,),
        )
    os.close(reader)
    os.write(writer, secret)
    os.close(writer)
    seen = b""
    while child.poll() is None:
        time.sleep(0.01)
        for name in ("cmdline", "environ"):
            try:
                seen = seen[-1 << 20 :] + (PROC / str(child.pid) / name).read_bytes()
            except OSError:
                continue  # it ended, or is closed even to its own user
    assert b"padan" in seen or b"linkage" in seen
    return child.returncode, seen + (folder / "said").read_bytes()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own-kek").write_bytes(os.urandom(32))
    (tmp_path / "own-kek").chmod(0o600)
    provider = FileProvider(tmp_path / "own-kek")
    write_keystore(tmp_path / "sign.key", SECRET, new_header("sign", provider), provider)
    return tmp_path


@pytest.mark.skipif(not PROC.is_dir(), reason="needs /proc, as Linux has it")
def test_a_running_command_shows_no_secret(own: Path) -> None:
    kek, path = f"file:{own / 'own-kek'}", str(own / "sign.key")
    commands = [
        ["keys", "rewrap", path, "--provider", kek, "--to", "passphrase:fd:FD"],
        ["keys", "show", path, "--provider", "passphrase:fd:FD", "--json"],
        ["keys", "state", path, "suspended", "--provider", "passphrase:fd:FD", "--json"],
    ]
    for command in commands:
        code, seen = watch(command, PHRASE.encode(), own)
        assert code == 0, seen
        for needle in planted(own):
            assert needle not in seen, command
    code, seen = watch(commands[1], b"another passphrase", own)
    assert (code, b"does not open this file" in seen) == (1, True)
    assert b"another passphrase" not in seen


def failures(own: Path) -> Iterator[Callable[[], object]]:
    """Calls that each fail with a secret in their hands."""
    provider = FileProvider(own / "own-kek")
    phrase = PassphraseProvider(bytearray(PHRASE.encode()), Cost(64 * 1024, 1, 1))
    wrapped = phrase.wrap(SECRET, b"")
    (own / "own-kek2").write_bytes(os.urandom(32))
    (own / "own-kek2").chmod(0o600)
    (own / "long").write_bytes((own / "own-kek").read_bytes() * 2)
    (own / "long").chmod(0o600)
    yield lambda: open_keystore(own / "sign.key", FileProvider(own / "own-kek2"))
    yield lambda: open_provider(f"passphrase:{PHRASE}")
    yield lambda: open_provider(f"vault:https://u:{PHRASE}@bao.example/transit/padan")
    yield lambda: open_provider(f"pkcs11:token=a;object=b?module-path=/x.so&pin-value={PHRASE}")
    yield lambda: SecretSource(PHRASE, "PIN")
    yield lambda: FileProvider(own / "long")
    yield lambda: phrase.unwrap(wrapped, b"other")
    yield lambda: PassphraseProvider(bytearray(PHRASE.encode() + b"\xff"))
    yield lambda: PassphraseProvider(bytearray(PHRASE[:8].encode())).wrap(SECRET, b"")
    yield lambda: provider.unwrap(wrapped, b"")
    yield lambda: write_keystore(own / "sign.key", SECRET, new_header("sign", provider), provider)
    yield lambda: public_half("seal", SECRET)


def test_no_error_and_none_behind_it_shows_a_secret(own: Path) -> None:
    calls = list(failures(own))
    for call in calls:
        with pytest.raises(KeysError) as caught:
            call()
        text = "".join(traceback.format_exception(caught.value)).encode()
        for needle in (*planted(own), PHRASE[:8].encode()):
            assert needle not in text
    assert len(calls) == 12


def test_nothing_that_holds_a_secret_shows_it_when_printed(own: Path) -> None:
    file, phrase = FileProvider(own / "own-kek"), PassphraseProvider(bytearray(PHRASE.encode()))
    source = SecretSource(f"file:{own / 'own-kek'}", "PIN")
    with unsealed(own / "sign.key", file) as (header, _):
        shown = repr([file, phrase, source, header]).encode()
    for needle in planted(own):
        assert needle not in shown


def test_no_key_code_reads_the_environment() -> None:
    sources = list(Path(keys.__path__[0]).glob("*.py"))
    assert len(sources) > 10
    for source in sources:
        # Where systemd put the credentials of a service is a path, and no secret.
        text = source.read_text().replace('os.environ.get("CREDENTIALS_DIRECTORY")', "")
        assert "environ[" not in text, source
        assert "os.environ" not in text, source
        assert "getenv" not in text, source
