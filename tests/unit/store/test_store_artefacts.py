"""Artefacts: whole or not at all, unchanged or refused, and gone with the key of their day."""

import datetime
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.errors import KeysError
from keys.providers import FileProvider, create_key_file
from linkage.errors import LinkageError, NotFoundError, UnavailableError, VerificationError
from linkage.store.artefacts import ArtefactStore, Header, Owner, held_key

MONDAY = datetime.date(2026, 1, 5)
TUESDAY = MONDAY + datetime.timedelta(days=1)
CONTENT = b"SENTINEL" * 40


@pytest.fixture
def store(tmp_path: Path) -> ArtefactStore:
    store = ArtefactStore(tmp_path / "data", tmp_path / "keys")
    store.create("batch-1", MONDAY)
    return store


def opened_again(tmp_path: Path) -> ArtefactStore:
    return ArtefactStore(tmp_path / "data", tmp_path / "keys")


@pytest.mark.parametrize("content", [b"", b"a", CONTENT, os.urandom(100_000)])
def test_what_was_written_is_read(content: bytes, store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "chunk-0", content)
    assert store.read("batch-1", "chunk-0") == content
    assert opened_again(tmp_path).read("batch-1", "chunk-0") == content


def test_writing_again_replaces(store: ArtefactStore) -> None:
    store.write("batch-1", "chunk-0", b"one")
    store.write("batch-1", "chunk-0", b"two")
    assert store.read("batch-1", "chunk-0") == b"two"
    assert store.names("batch-1") == ["chunk-0"]


def test_creating_again_keeps_the_key_and_the_day(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "chunk-0", CONTENT)
    store.create("batch-1", TUESDAY)
    assert opened_again(tmp_path).read("batch-1", "chunk-0") == CONTENT
    assert {p.name for p in (tmp_path / "keys").iterdir()} == {"expires-2026-01-05", "wrapped"}


def test_nothing_of_the_content_lies_in_any_file(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "chunk-0", CONTENT)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"SENTINEL" not in path.read_bytes()


def test_equal_contents_are_sealed_unlike(store: ArtefactStore, tmp_path: Path) -> None:
    for name in ("a", "b"):
        store.write("batch-1", name, CONTENT)
    folder = tmp_path / "data" / "batch-1"
    assert (folder / "a").read_bytes() != (folder / "b").read_bytes()


def test_files_and_folders_are_for_their_owner_only(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "chunk-0", CONTENT)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_two_files_of_a_dataset_cannot_be_swapped(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "a", b"one")
    store.write("batch-1", "b", b"two")
    folder = tmp_path / "data" / "batch-1"
    (folder / "a").rename(folder / "c")
    (folder / "b").rename(folder / "a")
    (folder / "c").rename(folder / "b")
    for name in ("a", "b"):
        with pytest.raises(VerificationError, match=f"batch-1/{name} was changed"):
            store.read("batch-1", name)


def test_a_file_of_another_dataset_is_refused(store: ArtefactStore, tmp_path: Path) -> None:
    store.create("batch-2", MONDAY)
    store.write("batch-1", "a", b"one")
    store.write("batch-2", "a", b"two")
    data = tmp_path / "data"
    (data / "batch-2" / "a").write_bytes((data / "batch-1" / "a").read_bytes())
    with pytest.raises(VerificationError):
        store.read("batch-2", "a")


def test_a_dataset_under_another_ones_key_is_refused(store: ArtefactStore, tmp_path: Path) -> None:
    store.create("batch-2", MONDAY)
    store.write("batch-1", "a", b"one")
    data = tmp_path / "data"
    wrapped = tmp_path / "keys" / "wrapped"
    for folder, one, other in ((data, "batch-1/a", "batch-2/a"), (wrapped, "batch-1", "batch-2")):
        (folder / other).write_bytes((folder / one).read_bytes())
    with pytest.raises(VerificationError):
        opened_again(tmp_path).read("batch-2", "a")


def test_a_bit_flipped_anywhere_in_a_file_is_refused(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "a", b"content")
    path = tmp_path / "data" / "batch-1" / "a"
    sealed = path.read_bytes()
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(VerificationError):
            store.read("batch-1", "a")


def test_a_file_cut_or_lengthened_anywhere_is_refused(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "a", b"content")
    path = tmp_path / "data" / "batch-1" / "a"
    sealed = path.read_bytes()
    for bad in (*(sealed[:n] for n in range(len(sealed))), sealed + b"\0"):
        path.write_bytes(bad)
        with pytest.raises(VerificationError):
            store.read("batch-1", "a")


def test_a_changed_wrapped_key_is_refused(store: ArtefactStore, tmp_path: Path) -> None:
    store.write("batch-1", "a", b"content")
    path = tmp_path / "keys" / "wrapped" / "batch-1"
    content = path.read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises((VerificationError, NotFoundError)):
            opened_again(tmp_path).read("batch-1", "a")


def test_another_days_key_does_not_open_a_dataset(store: ArtefactStore, tmp_path: Path) -> None:
    store.create("batch-2", TUESDAY)
    store.write("batch-1", "a", b"content")
    path = tmp_path / "keys" / "wrapped" / "batch-1"
    path.write_bytes(path.read_bytes().replace(b"2026-01-05", b"2026-01-06"))
    with pytest.raises(VerificationError):
        opened_again(tmp_path).read("batch-1", "a")


def test_what_is_not_there_is_not_found(store: ArtefactStore) -> None:
    for refused in (
        lambda: store.read("batch-1", "none"),
        lambda: store.read("none", "chunk-0"),
        lambda: store.write("none", "chunk-0", b""),
    ):
        with pytest.raises(LinkageError) as caught:
            refused()
        assert isinstance(caught.value, NotFoundError)
    assert store.exists("batch-1")
    assert not store.exists("none")


def test_a_destroyed_day_key_makes_its_datasets_unreadable(
    store: ArtefactStore, tmp_path: Path
) -> None:
    store.write("batch-1", "a", CONTENT)
    assert store.read("batch-1", "a") == CONTENT
    assert store.destroy_expired(TUESDAY) == ["2026-01-05"]
    for again in (store, opened_again(tmp_path)):
        with pytest.raises(NotFoundError):
            again.read("batch-1", "a")
        with pytest.raises(NotFoundError):
            again.write("batch-1", "b", CONTENT)
    assert not store.exists("batch-1")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_key_that_is_gone_says_so(store: ArtefactStore, tmp_path: Path) -> None:
    """As where a crash or a restored backup left the files."""
    store.write("batch-1", "a", CONTENT)
    (tmp_path / "keys" / "expires-2026-01-05").unlink()
    with pytest.raises(NotFoundError, match="destroyed on its expiry"):
        opened_again(tmp_path).read("batch-1", "a")
    (tmp_path / "keys" / "wrapped" / "batch-1").unlink()
    with pytest.raises(NotFoundError, match="was destroyed"):
        opened_again(tmp_path).read("batch-1", "a")


def test_a_destruction_that_a_crash_cut_short_is_done_again(
    store: ArtefactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("batch-1", "a", CONTENT)

    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(ArtefactStore, "delete", crash)
        with pytest.raises(OSError, match="Input/output"):
            store.destroy("expires-2026-01-05")
    assert not (tmp_path / "keys" / "expires-2026-01-05").exists()
    with pytest.raises(NotFoundError):
        opened_again(tmp_path).read("batch-1", "a")
    opened_again(tmp_path).destroy("expires-2026-01-05")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# What is held


def test_a_held_dataset_outlives_its_day_and_the_others_do_not(
    store: ArtefactStore, tmp_path: Path
) -> None:
    owner = Owner("upload", "pks/1", "j1")
    store.create("batch-2", MONDAY, owner)
    for dataset in ("batch-1", "batch-2"):
        store.write(dataset, "a", CONTENT)
    store.hold("batch-2", "case")
    store.hold("batch-2", "case")
    assert store.under("expires-2026-01-05").keys() == {"batch-1"}
    assert store.under(held_key("case")) == {"batch-2": Header("held-case", MONDAY, owner)}
    store.destroy_expired(TUESDAY)
    again = opened_again(tmp_path)
    assert again.read_held("batch-2", "a") == CONTENT
    with pytest.raises(NotFoundError, match="it is held"):
        again.read("batch-2", "a")
    with pytest.raises(NotFoundError):
        again.read("batch-1", "a")
    assert again.held() == ["held-case"]
    again.destroy("held-case")
    with pytest.raises(NotFoundError):
        again.read_held("batch-2", "a")
    assert again.held() == []


def test_what_is_not_there_cannot_be_held(store: ArtefactStore) -> None:
    with pytest.raises(NotFoundError):
        store.hold("none", "case")


def test_a_copy_of_the_data_alone_is_unreadable(store: ArtefactStore, tmp_path: Path) -> None:
    # A backup leaves the keystore out.
    store.write("batch-1", "a", CONTENT)
    with pytest.raises(NotFoundError):
        ArtefactStore(tmp_path / "data", tmp_path / "other-keys").read("batch-1", "a")


def test_datasets_of_other_days_stay_readable(store: ArtefactStore) -> None:
    store.create("batch-2", TUESDAY)
    store.write("batch-1", "a", b"one")
    store.write("batch-2", "a", b"two")
    assert store.destroy_expired(TUESDAY) == ["2026-01-05"]
    assert store.read("batch-2", "a") == b"two"
    with pytest.raises(NotFoundError):
        store.read("batch-1", "a")


def test_a_dataset_lives_through_the_whole_of_its_last_day(store: ArtefactStore) -> None:
    store.write("batch-1", "a", CONTENT)
    assert store.destroy_expired(MONDAY) == []
    assert store.read("batch-1", "a") == CONTENT
    assert store.destroy_expired(TUESDAY) == ["2026-01-05"]
    assert store.destroy_expired(TUESDAY) == []


def test_a_deleted_dataset_can_be_made_again_under_a_new_key(store: ArtefactStore) -> None:
    store.write("batch-1", "a", b"old")
    store.delete("batch-1")
    store.delete("batch-1")
    assert not store.exists("batch-1")
    store.create("batch-1", TUESDAY)
    with pytest.raises(NotFoundError):
        store.read("batch-1", "a")
    store.write("batch-1", "a", b"new")
    assert store.read("batch-1", "a") == b"new"


def test_one_file_can_be_removed_and_the_others_stay(store: ArtefactStore) -> None:
    for name in ("a", "b"):
        store.write("batch-1", name, CONTENT)
    store.remove("batch-1", "a")
    store.remove("batch-1", "a")
    assert store.names("batch-1") == ["b"]
    assert store.names("none") == []
    assert store.read("batch-1", "b") == CONTENT


def test_names_are_sorted_and_leave_half_files_out(store: ArtefactStore, tmp_path: Path) -> None:
    for name in ("chunk-10", "chunk-2", "manifest", "a_b.c"):
        store.write("batch-1", name, b"")
    # What a crash between writing and renaming leaves behind.
    (tmp_path / "data" / "batch-1" / "+x1y2z3").write_bytes(b"half")
    assert store.names("batch-1") == ["a_b.c", "chunk-10", "chunk-2", "manifest"]


def test_a_crash_before_the_rename_leaves_the_old_file(
    store: ArtefactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("batch-1", "a", b"old")

    def crash(_self: Path, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(UnavailableError, match="No space left"):
            store.write("batch-1", "a", b"new")
    assert store.read("batch-1", "a") == b"old"
    assert sorted(p.name for p in (tmp_path / "data" / "batch-1").iterdir()) == ["a"]


@pytest.mark.parametrize(
    "name", ["", "..", ".", "a/b", "../a", "/etc/passwd", "A", "a b", "+a", "a\n", "-a", "a" * 129]
)
def test_names_that_could_leave_the_store_are_a_callers_bug(
    name: str, store: ArtefactStore
) -> None:
    for refused in (
        lambda: store.create(name, MONDAY),
        lambda: store.exists(name),
        lambda: store.delete(name),
        lambda: store.read(name, "a"),
        lambda: store.read("batch-1", name),
        lambda: store.write("batch-1", name, b""),
    ):
        with pytest.raises(ValueError, match="is named by"):
            refused()


def test_several_threads_write_and_read_one_dataset(store: ArtefactStore) -> None:
    def write_and_read(i: int) -> bool:
        store.write("batch-1", f"chunk-{i}", bytes([i]) * 100)
        return store.read("batch-1", f"chunk-{i}") == bytes([i]) * 100

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write_and_read, range(24)))
    assert len(store.names("batch-1")) == 24


def test_a_stray_file_in_the_keystore_does_not_stop_destruction(
    store: ArtefactStore, tmp_path: Path
) -> None:
    # An editor's or a copying tool's leavings.
    (tmp_path / "keys" / "expires-2026-01-04~").write_bytes(b"")
    assert store.destroy_expired(TUESDAY) == ["2026-01-05"]


def test_threads_that_begin_a_day_together_share_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtefactStore(tmp_path / "data", tmp_path / "keys")
    real = os.fdopen
    errors: list[KeysError] = []

    def create_other() -> None:
        try:
            store.create("batch-2", MONDAY)
        except KeysError as error:
            errors.append(error)

    other = threading.Thread(target=create_other)

    def interrupted(*arguments: Any) -> Any:
        # The key file is there by now, and its bytes are not.
        monkeypatch.setattr(os, "fdopen", real)
        other.start()
        other.join(timeout=1)
        return real(*arguments)

    monkeypatch.setattr(os, "fdopen", interrupted)
    store.create("batch-1", MONDAY)
    other.join()
    assert errors == []


def test_keys_of_an_earlier_version_are_carried_over(tmp_path: Path) -> None:
    data, keys = tmp_path / "data", tmp_path / "keys"
    ArtefactStore(data, keys)
    folder, day_key = data / "references-1", keys / f"expires-{MONDAY.isoformat()}"
    folder.mkdir()
    create_key_file(day_key)
    data_key = AESGCM.generate_key(256)
    wrapped = FileProvider(day_key).wrap(data_key, b"references-1")
    (folder / "key").write_bytes(MONDAY.isoformat().encode() + b"\n" + wrapped)
    sealed = AESGCM(data_key).encrypt(bytes(12), b"map", b"references-1/part")
    (folder / "part").write_bytes(bytes(12) + sealed)
    for _ in range(2):
        store = ArtefactStore(data, keys)
        assert store.read("references-1", "part") == b"map"
        assert store.names("references-1") == ["part"]
    store.destroy_expired(TUESDAY)
    with pytest.raises(NotFoundError):
        store.read("references-1", "part")


def test_no_fresh_key_is_made_for_files_whose_key_is_gone(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path / "data", tmp_path / "keys")
    store.create("batch-1", MONDAY)
    store.write("batch-1", "a", b"content")
    other = ArtefactStore(tmp_path / "data", tmp_path / "other-keys")
    with pytest.raises(UnavailableError, match="its key is gone"):
        other.create("batch-1", MONDAY)


def test_what_others_need_of_a_day_stays(tmp_path: Path) -> None:
    store = ArtefactStore(tmp_path / "data", tmp_path / "keys")
    for name in ("spool-1", "references-1"):
        store.create(name, MONDAY)
        store.write(name, "a", b"content")
    assert store.destroy_expired(TUESDAY, "spool-") == []
    assert store.datasets() == ["references-1"]
    assert store.read("references-1", "a") == b"content"
