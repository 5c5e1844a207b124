"""Keystore files: what was sealed comes back, and nothing else ever does."""

import dataclasses
import json
import os
import stat
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from keys.errors import KeysError, KeystoreError
from keys.keystore import KeyHeader, open_keystore, read_header, write_keystore
from keys.providers import FileProvider, create_key_file

SECRET = bytes(range(200, 232))
HEADER = KeyHeader(
    key_id="4f1c",
    kind="linkage",
    agreement_id="pks/2026-01",
    epoch=3,
    created="2026-01-02T03:04:05Z",
    provider="file",
)


@pytest.fixture
def provider(tmp_path: Path) -> FileProvider:
    create_key_file(tmp_path / "kek")
    return FileProvider(tmp_path / "kek")


@pytest.fixture
def path(tmp_path: Path, provider: FileProvider) -> Path:
    path = tmp_path / "linkage.key"
    write_keystore(path, SECRET, HEADER, provider)
    return path


def with_header(content: bytes, header: KeyHeader) -> bytes:
    """The same file under another header, as somebody without the key would write it."""
    (length,) = struct.unpack_from(">I", content, 9)
    head = json.dumps(dataclasses.asdict(header), sort_keys=True, separators=(",", ":")).encode()
    return content[:9] + struct.pack(">I", len(head)) + head + content[13 + length :]


def test_a_key_comes_back_with_its_header(path: Path, provider: FileProvider) -> None:
    assert open_keystore(path, provider) == (HEADER, SECRET)
    assert read_header(path) == HEADER


def test_the_header_is_read_without_any_key(path: Path, tmp_path: Path) -> None:
    (tmp_path / "kek").unlink()
    assert read_header(path) == HEADER


@pytest.mark.parametrize("n_bytes", [1, 16, 32, 1000])
def test_a_key_of_any_length_comes_back(
    n_bytes: int, tmp_path: Path, provider: FileProvider
) -> None:
    secret = os.urandom(n_bytes)
    write_keystore(tmp_path / "other.key", secret, HEADER, provider)
    assert open_keystore(tmp_path / "other.key", provider)[1] == secret


def test_a_file_shows_nothing_of_its_key(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    assert SECRET[:8] not in content
    assert (tmp_path / "kek").read_bytes()[:8] not in content


def test_two_files_of_one_key_share_no_sealed_byte_run(
    path: Path, tmp_path: Path, provider: FileProvider
) -> None:
    write_keystore(tmp_path / "again.key", SECRET, HEADER, provider)
    first, second = path.read_bytes(), (tmp_path / "again.key").read_bytes()
    head = first.index(b"}") + 1
    assert first[:head] == second[:head]
    assert first[-48:] != second[-48:]


def test_a_file_with_bytes_after_its_end_is_refused(path: Path, provider: FileProvider) -> None:
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(KeystoreError):
        open_keystore(path, provider)


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": "4f1d"},
        {"kind": "data"},
        {"agreement_id": "pks/2026-02"},
        {"epoch": 4},
        {"created": "2026-01-02T03:04:06Z"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_header_over_the_same_body_is_refused(
    change: dict[str, object], path: Path, provider: FileProvider
) -> None:
    changed = replace(HEADER, **change)  # type: ignore[arg-type]
    path.write_bytes(with_header(path.read_bytes(), changed))
    assert read_header(path) == changed
    with pytest.raises(KeystoreError):
        open_keystore(path, provider)


def test_a_header_in_another_spelling_is_refused(path: Path, provider: FileProvider) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack_from(">I", content, 9)
    spaced = content[13 : 13 + length].replace(b",", b", ", 1)
    path.write_bytes(content[:9] + struct.pack(">I", length + 1) + spaced + content[13 + length :])
    for refused in (lambda: read_header(path), lambda: open_keystore(path, provider)):
        with pytest.raises(KeystoreError, match="second spelling"):
            refused()


def test_parts_of_two_files_do_not_make_a_third(
    path: Path, tmp_path: Path, provider: FileProvider
) -> None:
    other = tmp_path / "other.key"
    write_keystore(other, bytes(32), replace(HEADER, key_id="4f1e"), provider)
    one, two = path.read_bytes(), other.read_bytes()
    assert len(one) == len(two)
    body = len(one) - 48 - 12
    head = one.index(b"}") + 1
    for mixed in (one[:body] + two[body:], one[:head] + two[head:], two[:head] + one[head:]):
        path.write_bytes(mixed)
        with pytest.raises(KeystoreError):
            open_keystore(path, provider)


def test_another_key_encryption_key_does_not_open_it(path: Path, tmp_path: Path) -> None:
    create_key_file(tmp_path / "other-kek")
    with pytest.raises(KeystoreError, match="does not open this file"):
        open_keystore(path, FileProvider(tmp_path / "other-kek"))


def test_another_provider_is_refused_by_name(path: Path, provider: FileProvider) -> None:
    class Vault:
        name = "vault"
        wrap = provider.wrap
        unwrap = provider.unwrap

    with pytest.raises(KeystoreError, match="sealed by provider 'file', not 'vault'"):
        open_keystore(path, Vault())


def test_a_keystore_file_is_never_overwritten(path: Path, provider: FileProvider) -> None:
    before = path.read_bytes()
    with pytest.raises(KeystoreError, match="never overwritten"):
        write_keystore(path, bytes(32), HEADER, provider)
    assert path.read_bytes() == before


def test_a_dangling_link_is_not_written_through(tmp_path: Path, provider: FileProvider) -> None:
    link = tmp_path / "link.key"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeystoreError):
        write_keystore(link, SECRET, HEADER, provider)
    assert not (tmp_path / "elsewhere").exists()


def test_only_the_owner_may_read_it_and_its_new_folder(
    tmp_path: Path, provider: FileProvider
) -> None:
    path = tmp_path / "keys" / "linkage.key"
    write_keystore(path, SECRET, HEADER, provider)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_nothing_else_is_left_beside_it(path: Path, provider: FileProvider) -> None:
    with pytest.raises(KeystoreError):
        write_keystore(path, SECRET, HEADER, provider)
    assert sorted(p.name for p in path.parent.iterdir()) == ["kek", "linkage.key"]


def test_a_file_that_is_not_there_is_a_keystore_error(
    tmp_path: Path, provider: FileProvider
) -> None:
    for path in (tmp_path / "none.key", tmp_path):
        for refused in (lambda p=path: read_header(p), lambda p=path: open_keystore(p, provider)):
            with pytest.raises(KeystoreError, match="name a readable keystore file"):
                refused()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PADANKEY",
        b"PADANKEY\x01" + bytes(200),
        b"PADANKEY\x03" + bytes(200),
        b"padankey\x01" + bytes(200),
        b"PADANKEY\x02" + bytes(200),
        b"PADANKEY\x02" + b"\xff" * 200,
        b"-----BEGIN PRIVATE KEY-----\n" * 20,
        b"PADANKEY\x02" + struct.pack(">I", 2) + b"{}" + b"\0\2ab" + bytes(60),
        b"PADANKEY\x02" + struct.pack(">I", 2) + b"[]" + b"\0\2ab" + bytes(60),
        b"PADANKEY\x02" + struct.pack(">I", 4) + b"null" + b"\0\2ab" + bytes(60),
        b"PADANKEY\x02" + struct.pack(">I", 4) + b"\xff\xfe\xfd\xfc" + b"\0\2ab" + bytes(60),
        b"PADANKEY\x02" + struct.pack(">I", 4097) + b" " * 4097 + b"\0\2ab" + bytes(60),
    ],
)
def test_what_is_no_keystore_file_is_refused(
    content: bytes, tmp_path: Path, provider: FileProvider
) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    for refused in (lambda: read_header(path), lambda: open_keystore(path, provider)):
        with pytest.raises(KeystoreError):
            refused()


def test_an_unknown_header_field_is_refused(path: Path) -> None:
    fields = json.dumps({**dataclasses.asdict(HEADER), "more": 1}).encode()
    path.write_bytes(
        b"PADANKEY\x02" + struct.pack(">I", len(fields)) + fields + b"\0\2ab" + bytes(60)
    )
    with pytest.raises(KeystoreError):
        read_header(path)


def test_no_error_holds_key_material(path: Path, tmp_path: Path, provider: FileProvider) -> None:
    kek = (tmp_path / "kek").read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeysError) as caught:
        open_keystore(path, provider)
    text = repr(caught.value) + repr(caught.value.__cause__)
    assert str(path) in text
    assert SECRET.hex()[:8] not in text
    assert kek.hex()[:8] not in text


def test_a_deeply_nested_header_is_refused(tmp_path: Path) -> None:
    head = b"[" * 4096
    path = tmp_path / "deep"
    path.write_bytes(b"PADANKEY\x02" + struct.pack(">I", len(head)) + head + b"\0\2ab" + bytes(60))
    with pytest.raises(KeystoreError):
        read_header(path)
