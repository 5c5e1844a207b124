"""The file provider: a key of the right length that nobody else can read."""

import os
import stat
from pathlib import Path

import pytest

from keys.errors import KeystoreError
from keys.providers import FileProvider, create_key_file

DATA_KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_key_file(tmp_path / "kek")
    return tmp_path / "kek"


def test_a_new_key_file_has_32_random_bytes_for_its_owner_only(path: Path) -> None:
    assert len(path.read_bytes()) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    create_key_file(path.with_name("second"))
    assert path.read_bytes() != path.with_name("second").read_bytes()


def test_a_new_key_file_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(tmp_path / "kek")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kek").stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="never overwritten"):
        create_key_file(path)
    assert path.read_bytes() == before


def test_a_wrapped_key_comes_back_in_its_context(path: Path) -> None:
    provider = FileProvider(path)
    assert provider.unwrap(provider.wrap(DATA_KEY, b"context"), b"context") == DATA_KEY


def test_wrapping_twice_gives_unlike_bytes(path: Path) -> None:
    provider = FileProvider(path)
    assert provider.wrap(DATA_KEY, b"c") != provider.wrap(DATA_KEY, b"c")


def test_a_wrapped_key_opens_in_no_other_context(path: Path) -> None:
    provider = FileProvider(path)
    wrapped = provider.wrap(DATA_KEY, b"context")
    for other in (b"", b"contex", b"context\0", b"Context"):
        with pytest.raises(KeystoreError):
            provider.unwrap(wrapped, other)


def test_a_wrapped_key_cut_or_changed_anywhere_does_not_open(path: Path) -> None:
    provider = FileProvider(path)
    wrapped = provider.wrap(DATA_KEY, b"context")
    for at in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[at] ^= 0x80
        for bad in (bytes(changed), wrapped[:at]):
            with pytest.raises(KeystoreError):
                provider.unwrap(bad, b"context")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777])
def test_a_key_file_open_to_others_is_refused(mode: int, path: Path) -> None:
    path.chmod(mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        FileProvider(path)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_key_file_for_its_owner_is_taken(mode: int, path: Path) -> None:
    path.chmod(mode)
    assert FileProvider(path).name == "file"


@pytest.mark.parametrize("n_bytes", [0, 1, 16, 31, 33, 64])
def test_a_key_file_of_another_length_is_refused(n_bytes: int, path: Path) -> None:
    path.write_bytes(b"\xab" * n_bytes)
    with pytest.raises(KeystoreError, match=f"{n_bytes} bytes, not the 32 of a key") as caught:
        FileProvider(path)
    assert "abab" not in str(caught.value)


def test_a_key_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(KeystoreError, match="name a readable key file"):
            FileProvider(path)


def test_a_provider_shows_nothing_of_its_key(path: Path) -> None:
    key = path.read_bytes()
    assert key.hex()[:8] not in repr(FileProvider(path))
    assert repr(key)[2:10] not in repr(FileProvider(path))
