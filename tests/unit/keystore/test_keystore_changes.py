"""Changes of a keystore file: checked, whole, and never at the cost of the key."""

import multiprocessing
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from failing_provider import FailingProvider

from keys.derive import KeyContext, LinkageKey
from keys.errors import KeystoreError
from keys.keystore import (
    change_state,
    new_header,
    open_keystore,
    read_header,
    rewrap,
    unsealed,
    write_keystore,
)
from keys.providers import FileProvider, create_key_file
from keys.states import KeyState, KeyUse

SECRET = bytes(range(200, 232))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path, provider: FileProvider) -> Path:
    write_keystore(tmp_path / "seal.key", SECRET, new_header("seal", provider), provider)
    return tmp_path / "seal.key"


def test_a_change_of_state_is_kept_counted_and_told(path: Path, provider: FileProvider) -> None:
    before = read_header(path)
    done = change_state(path, KeyState.SUSPENDED, provider, NOW)
    header = read_header(path)
    assert (header.state, header.since, header.revision) == (
        KeyState.SUSPENDED,
        "2026-01-02T03:04:05+00:00",
        1,
    )
    assert (done.key_id, done.kind) == (before.key_id, "seal")
    assert (done.before, done.after, done.revision, done.time) == (
        KeyState.ACTIVE,
        KeyState.SUSPENDED,
        1,
        header.since,
    )
    change_state(path, KeyState.ACTIVE, provider, NOW)
    assert open_keystore(path, provider)[1] == SECRET
    assert read_header(path).revision == 2


def test_a_change_that_does_not_follow_changes_nothing(path: Path, provider: FileProvider) -> None:
    change_state(path, KeyState.DEACTIVATED, provider, NOW)
    content = path.read_bytes()
    with pytest.raises(
        KeystoreError, match=r"seal\.key: from deactivated a key does not become active"
    ):
        change_state(path, KeyState.ACTIVE, provider, NOW)
    assert path.read_bytes() == content


@pytest.mark.parametrize("state", list(KeyState)[2:])
def test_only_an_active_key_protects(path: Path, provider: FileProvider, state: KeyState) -> None:
    change_state(path, state, provider, NOW)
    with pytest.raises(KeystoreError, match=rf"seal\.key: this seal key is {state}: "):
        open_keystore(path, provider)


def test_a_pre_active_key_waits(tmp_path: Path, provider: FileProvider) -> None:
    path = tmp_path / "sign.key"
    header = new_header("sign", provider, state=KeyState.PRE_ACTIVE)
    write_keystore(path, SECRET, header, provider)
    with pytest.raises(KeystoreError, match="make it active first"):
        open_keystore(path, provider)
    change_state(path, KeyState.ACTIVE, provider, NOW)
    assert open_keystore(path, provider)[1] == SECRET


def test_a_deactivated_key_still_processes(path: Path, provider: FileProvider) -> None:
    change_state(path, KeyState.DEACTIVATED, provider, NOW)
    assert open_keystore(path, provider, use=KeyUse.PROCESS)[1] == SECRET


def test_a_state_written_over_by_hand_is_noticed(path: Path, provider: FileProvider) -> None:
    change_state(path, KeyState.SUSPENDED, provider, NOW)
    content = path.read_bytes()
    # Of the same length, so that nothing else in the file moves.
    path.write_bytes(content.replace(b'"suspended"', b'"active"   '))
    with pytest.raises(KeystoreError, match="second spelling"):
        open_keystore(path, provider)
    path.write_bytes(content.replace(b'"revision":1', b'"revision":0'))
    with pytest.raises(KeystoreError, match="does not open this file, or the file was changed"):
        open_keystore(path, provider)


def test_a_destroyed_key_is_gone_and_its_header_stays(path: Path, provider: FileProvider) -> None:
    os.link(path, path.with_name("old"))
    key_id = read_header(path).key_id
    change_state(path, KeyState.DESTROYED, provider, NOW)
    assert read_header(path).key_id == key_id
    with unsealed(path, provider, use=KeyUse.INSPECT) as (header, secret):
        assert (header.state, secret) == (KeyState.DESTROYED, b"")
    assert set(path.with_name("old").read_bytes()) == {0}


def test_rewrapping_keeps_the_key_and_changes_who_opens_it(
    path: Path, provider: FileProvider, tmp_path: Path
) -> None:
    create_key_file(tmp_path / "other")
    other = FileProvider(tmp_path / "other")
    change_state(path, KeyState.SUSPENDED, provider, NOW)
    assert rewrap(path, provider, other).revision == 2
    with pytest.raises(KeystoreError, match="does not open this file"):
        open_keystore(path, provider)
    change_state(path, KeyState.ACTIVE, other, NOW)
    assert open_keystore(path, other)[1] == SECRET


@pytest.mark.parametrize("good_calls", range(3))
def test_a_provider_that_fails_midway_costs_nothing(path: Path, kek: Path, good_calls: int) -> None:
    content = path.read_bytes()
    for change in (
        lambda one: change_state(path, KeyState.DESTROYED, one, NOW),
        lambda one: rewrap(path, one, one),
    ):
        with pytest.raises(KeystoreError, match=r"seal\.key: the provider is gone"):
            change(FailingProvider(FileProvider(kek), good_calls))
        assert path.read_bytes() == content
    change_state(path, KeyState.SUSPENDED, FailingProvider(FileProvider(kek), 3), NOW)
    assert sorted(p.name for p in path.parent.iterdir()) == ["kek", "seal.key"]


def test_a_provider_that_gives_back_another_key_is_not_trusted_with_one(
    path: Path, provider: FileProvider, kek: Path
) -> None:
    class Forgetful(FileProvider):
        def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
            return bytearray(len(super().unwrap(wrapped, context)))

    content = path.read_bytes()
    with pytest.raises(KeystoreError, match="the file was changed"):
        rewrap(path, provider, Forgetful(kek))
    with pytest.raises(KeystoreError):
        write_keystore(path.with_name("new.key"), SECRET, read_header(path), Forgetful(kek))
    assert path.read_bytes() == content
    assert not path.with_name("new.key").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_midway_costs_nothing(
    path: Path, provider: FileProvider, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(KeystoreError, match="No space left on device"):
            change_state(path, KeyState.SUSPENDED, provider, NOW)
    assert path.read_bytes() == content
    assert sorted(p.name for p in path.parent.iterdir()) == ["kek", "seal.key"]


def test_a_changed_file_is_still_its_owners_only(path: Path, provider: FileProvider) -> None:
    before = os.umask(0)
    try:
        change_state(path, KeyState.SUSPENDED, provider, NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_not_there_cannot_be_changed(tmp_path: Path, provider: FileProvider) -> None:
    for path in (tmp_path / "none.key", tmp_path / "none" / "none.key"):
        with pytest.raises(KeystoreError, match="name a readable keystore file"):
            change_state(path, KeyState.SUSPENDED, provider, NOW)
        with pytest.raises(KeystoreError, match="name a readable keystore file"):
            rewrap(path, provider, provider)


def _rewrap_often(path: Path, kek: Path) -> None:
    provider = FileProvider(kek)
    for _ in range(20):
        rewrap(path, provider, provider)


def test_changes_at_the_same_time_wait_for_each_other(
    path: Path, kek: Path, provider: FileProvider
) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_rewrap_often, args=(path, kek)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert read_header(path).revision == 40  # one lost would be a state lost
    assert open_keystore(path, provider)[1] == SECRET


def test_a_job_costs_the_provider_one_operation_a_key(path: Path, kek: Path) -> None:
    once = FailingProvider(FileProvider(kek), 1)
    with unsealed(path, once) as (_, secret):
        key = LinkageKey(secret, KeyContext("PKS-1", bytes(32), "paspor", 1))
    assert len({key.space_key(str(number)) for number in range(1000)}) == 1000
    with pytest.raises(KeystoreError, match="the provider is gone"):
        open_keystore(path, once)


def test_an_unsealed_key_is_overwritten_when_its_block_ends(
    path: Path, provider: FileProvider
) -> None:
    with unsealed(path, provider) as (_, secret):
        assert secret == SECRET
    assert secret == bytes(32)
    with pytest.raises(RuntimeError), unsealed(path, provider) as (_, secret):
        raise RuntimeError
    assert secret == bytes(32)
