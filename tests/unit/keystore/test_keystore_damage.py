"""A keystore file cut at any length or with any bit flipped is refused, whatever opens it."""

import hashlib
from pathlib import Path

import pytest

from keys import passphrase
from keys.errors import KeystoreError
from keys.keystore import new_header, open_keystore, write_keystore
from keys.passphrase import Cost, PassphraseProvider
from keys.providers import FileProvider, KeyProvider

SECRET = bytes(range(200, 232))


@pytest.fixture(params=["file", "passphrase"])
def any_provider(
    request: pytest.FixtureRequest, kek: Path, monkeypatch: pytest.MonkeyPatch
) -> KeyProvider:
    if request.param == "file":
        return FileProvider(kek)

    class QuickArgon2id:
        """Another key for any other argument, as the real one, without its cost."""

        def __init__(self, **arguments: object) -> None:
            self._arguments = sorted(arguments.items())

        def derive_into(self, secret: bytes, buffer: bytearray) -> None:
            buffer[:] = hashlib.sha256(repr((secret, self._arguments)).encode()).digest()

    monkeypatch.setattr(passphrase, "Argon2id", QuickArgon2id)
    return PassphraseProvider(bytearray(b"enam kata acak"), Cost(64 * 1024, 1, 1))


@pytest.fixture
def path(tmp_path: Path, any_provider: KeyProvider) -> Path:
    header = new_header("linkage", any_provider, "PKS-1", 3)
    write_keystore(tmp_path / "linkage.key", SECRET, header, any_provider)
    return tmp_path / "linkage.key"


def test_a_file_cut_at_any_length_is_refused(path: Path, any_provider: KeyProvider) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(KeystoreError, match=r"linkage\.key: "):
            open_keystore(path, any_provider)
    path.write_bytes(content)
    assert open_keystore(path, any_provider)[1] == SECRET


def test_a_file_with_any_bit_flipped_is_refused(path: Path, any_provider: KeyProvider) -> None:
    content = path.read_bytes()
    flipped = 0
    for at in range(8 * len(content)):
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(KeystoreError, match=r"linkage\.key: "):
            open_keystore(path, any_provider)
        flipped += 1
    assert flipped > 2000
