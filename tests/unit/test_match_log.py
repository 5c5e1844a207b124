"""The write path: every crash recoverable, every fork refused."""

import random
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from linkage.audit.verify import verify_files
from linkage.errors import CheckpointError, InputError, UnavailableError
from linkage.log.bundle import build_bundle
from linkage.log.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from linkage.log.cosignature import Cosigner
from linkage.log.hashing import leaf_hash
from linkage.log.note import Ed25519Signer, Signer, parse_note, verified_signatures
from linkage.log.policy import LogLine, Policy
from linkage.log.proof import verify_consistency, verify_inclusion
from linkage.log.tiles import ENTRIES, Tile
from linkage.log.tree import root_of
from linkage.log.vkey import VerifierKey
from linkage.matcher.match_log import MatchLog
from linkage.store.log_files import Disk, LogFiles

ORIGIN = "log.padan.test/a"
LEAF = (
    b'{"actor":"a","agreement":null,"body":{"n":%d},"ref":[],'
    b'"time":"2026-01-01T00:00:00Z","type":"admin.note","v":1}'
)


class Crash(Exception):  # noqa: N818 (no error of the program: the plug is pulled)
    pass


class Faults:
    """Counts operations and pulls the plug at one of them, before or after it is done."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.count = 0
        self._at = at
        self._after = after

    def before(self) -> None:
        self.count += 1
        if self.count == self._at and not self._after:
            raise Crash

    def after(self) -> None:
        if self.count == self._at and self._after:
            raise Crash


class FakeEntries:
    """The database, in memory; `entries` is what is committed."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.entries: list[bytes] = []
        self.head: tuple[int, bytes] | None = None
        self.faults = faults or Faults()

    def add(self, n: int) -> None:
        self.entries += [LEAF % i for i in range(len(self.entries), len(self.entries) + n)]

    def entry_count(self) -> int:
        return len(self.entries)

    def read_entries(self, start: int, end: int) -> list[bytes]:
        return self.entries[start:end]

    def signed_head(self) -> tuple[int, bytes] | None:
        return self.head

    def save_signed_head(self, size: int, root: bytes) -> None:
        self.faults.before()
        self.head = (size, root)
        self.faults.after()


class FailingDisk(Disk):
    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def create(self, path: Path, data: bytes) -> None:
        try:
            self._faults.before()
        except Crash:
            path.write_bytes(data[: len(data) // 2])  # what a crash leaves is torn
            raise
        super().create(path, data)
        self._faults.after()

    def write(self, path: Path, data: bytes) -> None:
        try:
            self._faults.before()
        except Crash:
            path.write_bytes(data[: len(data) // 2])
            raise
        super().write(path, data)
        self._faults.after()

    def link(self, source: Path, target: Path) -> None:
        self._faults.before()
        super().link(source, target)
        self._faults.after()

    def replace(self, source: Path, target: Path) -> None:
        self._faults.before()
        super().replace(source, target)
        self._faults.after()

    def remove(self, path: Path) -> None:
        self._faults.before()
        super().remove(path)
        self._faults.after()

    def make_directory(self, path: Path) -> None:
        self._faults.before()
        super().make_directory(path)
        self._faults.after()

    def remove_directory(self, path: Path) -> None:
        self._faults.before()
        super().remove_directory(path)
        self._faults.after()

    def sync_directory(self, path: Path) -> None:  # noqa: ARG002 (quicker not to)
        self._faults.before()
        self._faults.after()


class RecordingSigner:
    """Remembers every text it signed: two roots for one size would be a fork."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._signer = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
        self.faults = faults or Faults()
        self.signed: list[bytes] = []

    @property
    def key(self) -> VerifierKey:
        return self._signer.key

    def sign(self, text: bytes) -> bytes:
        self.faults.before()
        self.signed.append(text)
        signature = self._signer.sign(text)
        self.faults.after()
        return signature

    def assert_no_fork(self) -> None:
        sizes = [int(text.split(b"\n")[1]) for text in self.signed]
        assert sizes == sorted(sizes)
        assert len(set(self.signed)) == len(set(sizes))


@pytest.fixture
def signer() -> RecordingSigner:
    return RecordingSigner()


@pytest.fixture
def store() -> FakeEntries:
    return FakeEntries()


@pytest.fixture
def files(tmp_path: Path) -> LogFiles:
    return LogFiles(tmp_path / "log")


@pytest.fixture
def log(store: FakeEntries, files: LogFiles, signer: RecordingSigner) -> MatchLog:
    return MatchLog(store, files, [signer], ORIGIN)


def root(store: FakeEntries, size: int | None = None) -> bytes:
    return root_of([leaf_hash(entry) for entry in store.entries[:size]])


def assert_verifies(log: MatchLog, signer: RecordingSigner, size: int) -> None:
    policy = Policy((LogLine(signer.key),))
    report = verify_files(build_bundle(log.bundle_files()), policy, None)
    assert (report.verdict, report.size, report.findings) == ("OK", size, [])


def test_publish_covers_what_is_committed(
    log: MatchLog, store: FakeEntries, signer: RecordingSigner
) -> None:
    for n in (3, 0, 1, 300, 256, 1000):
        store.add(n)
        note = log.publish()
        head = verify_checkpoint(note, [signer.key])
        assert head == Checkpoint(ORIGIN, len(store.entries), root(store))
        assert store.head == (head.size, head.root)
        assert log.checkpoint() == note
        assert_verifies(log, signer, head.size)
    signer.assert_no_fork()


def test_publishing_nothing_new_signs_nothing(
    log: MatchLog, store: FakeEntries, signer: RecordingSigner
) -> None:
    store.add(5)
    assert log.publish() == log.publish()
    assert len(signer.signed) == 1


def test_an_empty_log_can_be_published(log: MatchLog, signer: RecordingSigner) -> None:
    with pytest.raises(UnavailableError):
        log.checkpoint()
    log.publish()
    assert_verifies(log, signer, 0)


def test_a_restart_goes_on(store: FakeEntries, files: LogFiles, signer: RecordingSigner) -> None:
    for _ in range(5):
        log = MatchLog(store, files, [signer], ORIGIN)
        log.recover()
        store.add(100)
        log.publish()
    again = MatchLog(store, files, [signer], ORIGIN)
    again.recover()
    assert again.checkpoint() == log.checkpoint()
    assert_verifies(again, signer, 500)


def test_proofs_and_entries(log: MatchLog, store: FakeEntries) -> None:
    store.add(300)
    log.publish()
    store.add(250)
    log.publish()
    store.add(1)  # committed, not published
    for size in (1, 299, 300, 512, 550):
        for index in {0, size // 2, size - 1}:
            proof = log.inclusion_proof(index, size)
            verify_inclusion(leaf_hash(store.entries[index]), index, size, proof, root(store, size))
        proof = log.consistency_proof(size, 550)
        verify_consistency(size, 550, proof, root(store, size), root(store, 550))
    assert log.entries(299, 301) == store.entries[299:301]
    for refused in (
        lambda: log.entries(550, 551),
        lambda: log.entries(2, 1),
        lambda: log.entries(-1, 1),
        lambda: log.inclusion_proof(0, 551),
        lambda: log.inclusion_proof(5, 5),
        lambda: log.consistency_proof(0, 551),
        lambda: log.consistency_proof(6, 5),
    ):
        with pytest.raises(InputError):
            refused()


def crash_points() -> list[tuple[int, bool]]:
    return [(at, after) for at in range(1, 80) for after in (False, True)]


@pytest.mark.parametrize("derived", [False, True])
def test_every_crash_point_is_recoverable(tmp_path: Path, derived: bool) -> None:
    """Each file operation, the head and the signature fail once; the next start goes on."""
    n_crashes = 0
    for run, (at, after) in enumerate(crash_points()):
        store, signer = FakeEntries(), RecordingSigner()
        directory = tmp_path / str(run)
        # 254 are published; then a crash somewhere while 254 -> 258 closes a tile.
        store.add(254)
        MatchLog(store, LogFiles(directory), [signer], ORIGIN).publish()
        store.add(1)
        MatchLog(store, LogFiles(directory), [signer], ORIGIN).publish()
        store.add(3)
        faults = Faults(at, after=after)
        store.faults = signer.faults = faults
        files = LogFiles(directory, FailingDisk(faults), derived=derived)
        log = MatchLog(store, files, [signer], ORIGIN)
        try:
            log.publish()
        except Crash:
            n_crashes += 1
        store.faults = signer.faults = Faults()
        if at % 2:
            # The same process goes on, with the same objects.
            log.publish()
            assert_verifies(log, signer, 258)
        store.add(2)
        log = MatchLog(store, LogFiles(directory), [signer], ORIGIN)
        log.recover()
        log.publish()
        assert_verifies(log, signer, 260)
        signer.assert_no_fork()
        leftover = [path for path in directory.rglob("*.tmp") if "checkpoint" not in path.name]
        assert len(leftover) <= 1
    # As many as there are operations, twice: the last runs end without a crash.
    assert 2 * (25 if derived else 30) < n_crashes < len(crash_points())


@pytest.mark.parametrize("seed", range(20))
def test_tiles_that_a_loss_of_power_took_are_made_again(
    store: FakeEntries, signer: RecordingSigner, tmp_path: Path, seed: int
) -> None:
    """Of what was not forced to disk any part may be missing, empty or cut, or an older one."""
    draw = random.Random(seed)
    files = LogFiles(tmp_path / "log", derived=True)
    log = MatchLog(store, files, [signer], ORIGIN)
    notes = []
    for _ in range(6):
        store.add(draw.randint(1, 300) if draw.random() < 0.5 else draw.randint(1, 9))
        notes.append(log.publish())
    # The checkpoint's new name was not forced to disk, either, and entries were committed since.
    note = draw.choice(notes)
    (tmp_path / "log" / "checkpoint").write_bytes(note)
    store.add(draw.choice([0, 0, 1, 300]))
    if seed % 2:
        store.head = None  # as when the record of what was signed is elsewhere
    for path in (tmp_path / "log" / "tile").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        fate = draw.choice(["kept", "kept", "gone", "empty", "cut", "zeros"])
        if not data or fate == "kept":
            continue
        path.unlink()
        if fate != "gone":
            left = {"empty": b"", "cut": data[: len(data) // 2], "zeros": bytes(len(data))}
            path.write_bytes(left[fate])
    again = MatchLog(store, files, [signer], ORIGIN)
    again.recover()
    sizes = [verify_checkpoint(one, [signer.key]).size for one in notes]
    assert_verifies(again, signer, sizes[notes.index(note)])
    again.publish()
    store.add(1)
    again.publish()
    assert_verifies(again, signer, len(store.entries))
    for size in sizes:
        assert again.root_at(size) == root(store, size)
        proof = again.consistency_proof(size, len(store.entries))
        verify_consistency(size, len(store.entries), proof, root(store, size), root(store))
    signer.assert_no_fork()


def test_a_torn_temporary_file_does_no_harm(
    log: MatchLog, store: FakeEntries, signer: RecordingSigner, tmp_path: Path
) -> None:
    store.add(1)
    log.publish()
    published = tmp_path / "log/tile/0/000.p/1"
    # As after a crash between the link and the removal: one file, two names.
    published.with_name("1.tmp").hardlink_to(published)
    published.with_name("2.tmp").write_bytes(b"torn")
    store.add(1)
    log = MatchLog(store, LogFiles(tmp_path / "log"), [signer], ORIGIN)
    log.publish()
    assert published.read_bytes() == leaf_hash(store.entries[0])
    assert_verifies(log, signer, 2)


def refuse(store: FakeEntries, files: LogFiles, match: str) -> None:
    """Neither recovery nor publishing goes on, and nothing is signed."""
    signer = RecordingSigner()
    log = MatchLog(store, files, [signer], ORIGIN)
    for call in (log.recover, log.publish, log.publish):
        with pytest.raises(CheckpointError, match=match):
            call()
    assert signer.signed == []


def test_a_restored_database_is_refused(log: MatchLog, store: FakeEntries, files: LogFiles) -> None:
    """Head and entries come from the backup, the files do not."""
    store.add(10)
    log.publish()
    backup = FakeEntries()
    backup.entries, backup.head = list(store.entries), store.head
    store.add(5)
    log.publish()
    refuse(backup, files, "restored backup")
    # New entries on top of the backup do not heal it.
    backup.entries += [LEAF % (1000 + i) for i in range(20)]
    refuse(backup, files, "another history")


def test_a_restored_database_is_refused_by_unsigned_files(
    log: MatchLog, store: FakeEntries, files: LogFiles
) -> None:
    """Tiles reached the disk, the signature did not; then the database went back."""
    store.add(10)
    log.publish()
    files.write_tile(Tile(ENTRIES, 0, 12), b"\0\0" * 12)
    refuse(store, files, "restored backup")


def test_lost_entries_are_refused_by_the_signed_head(
    log: MatchLog, store: FakeEntries, tmp_path: Path
) -> None:
    store.add(10)
    log.publish()
    store.entries.pop()
    refuse(store, LogFiles(tmp_path / "elsewhere"), "restored backup")


@pytest.mark.parametrize("where", ["log", "elsewhere"])
@pytest.mark.parametrize("index", [0, 255, 299])
def test_an_edited_entry_is_refused(
    log: MatchLog, store: FakeEntries, tmp_path: Path, index: int, where: str
) -> None:
    """With its files, or with the signed head alone; and no file is written then."""
    store.add(300)
    log.publish()
    store.entries[index] = LEAF % 999
    refuse(store, LogFiles(tmp_path / where), "another history")
    assert not (tmp_path / "elsewhere").exists()


def test_two_signed_roots_for_one_size_are_refused(
    log: MatchLog, store: FakeEntries, files: LogFiles
) -> None:
    store.add(3)
    log.publish()
    store.head = (3, bytes(32))
    refuse(store, files, "two roots")


def test_a_head_of_another_writer_is_refused(log: MatchLog, store: FakeEntries) -> None:
    store.add(3)
    log.publish()
    store.add(1)
    store.head = (9, bytes(32))
    with pytest.raises(CheckpointError, match="another writer"):
        log.publish()


def test_a_database_that_shrinks_while_running_is_refused(
    log: MatchLog, store: FakeEntries
) -> None:
    store.add(3)
    log.publish()
    store.entries.pop()
    with pytest.raises(CheckpointError, match="lost entries"):
        log.publish()


def test_a_database_with_gaps_is_refused(log: MatchLog, store: FakeEntries) -> None:
    store.add(3)
    store.read_entries = lambda start, end: store.entries[start : end - 1]  # type: ignore[method-assign]
    with pytest.raises(CheckpointError, match="gaps"):
        log.publish()


@pytest.mark.parametrize("note", [b"", b"x", "strange"])
def test_a_damaged_checkpoint_is_refused(
    log: MatchLog, store: FakeEntries, files: LogFiles, note: bytes | str
) -> None:
    store.add(3)
    log.publish()
    if isinstance(note, str):
        other = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\2" * 32))
        note = sign_checkpoint(Checkpoint(ORIGIN, 3, root(store)), other)
    files.write_checkpoint(note)
    refuse(store, files, "not signed by this log's key")


def test_lost_files_are_written_again(
    log: MatchLog, store: FakeEntries, signer: RecordingSigner, tmp_path: Path
) -> None:
    store.add(600)
    log.publish()
    for name in ("tile/0/001", "tile/entries/000", "tile/entries/002.p/88"):
        (tmp_path / "log" / name).unlink()
    again = MatchLog(store, LogFiles(tmp_path / "log"), [signer], ORIGIN)
    again.recover()
    assert_verifies(again, signer, 600)
    elsewhere = MatchLog(store, LogFiles(tmp_path / "new"), [signer], ORIGIN)
    elsewhere.publish()
    assert_verifies(elsewhere, signer, 600)
    signer.assert_no_fork()


def both_keys(signer: RecordingSigner) -> list[Signer]:
    return [signer, Cosigner(ORIGIN, MLDSA44PrivateKey.from_seed_bytes(b"\1" * 32), lambda: 1.0)]


def test_a_log_with_two_keys_signs_with_both(
    store: FakeEntries, files: LogFiles, signer: RecordingSigner
) -> None:
    signers = both_keys(signer)
    log = MatchLog(store, files, signers, ORIGIN)
    store.add(3)
    keys = [one.key for one in signers]
    for note in (log.publish(), log.publish()):
        assert list(verified_signatures(parse_note(note), keys)) == keys
    assert len(signer.signed) == 1


def test_a_log_that_gets_its_second_key_signs_the_same_head_again(
    log: MatchLog, store: FakeEntries, files: LogFiles, signer: RecordingSigner
) -> None:
    store.add(3)
    before = log.publish()
    signers = both_keys(signer)
    again = MatchLog(store, files, signers, ORIGIN)
    again.recover()
    note = again.publish()
    assert parse_note(note).text == parse_note(before).text
    verify_checkpoint(note, [one.key for one in signers])
    assert files.read_checkpoint() == note
    signer.assert_no_fork()


def test_a_log_does_not_go_back_to_one_key(
    store: FakeEntries, files: LogFiles, signer: RecordingSigner
) -> None:
    store.add(3)
    MatchLog(store, files, both_keys(signer), ORIGIN).publish()
    with pytest.raises(CheckpointError, match="restore all of its key files"):
        MatchLog(store, files, [signer], ORIGIN).recover()


def test_a_signer_of_another_name_is_a_bug(store: FakeEntries, files: LogFiles) -> None:
    with pytest.raises(ValueError, match="the signer is"):
        MatchLog(store, files, [RecordingSigner()], "log.padan.test/b")
    with pytest.raises(ValueError, match="nobody"):
        MatchLog(store, files, [], ORIGIN)


def test_a_signer_that_signs_wrongly_publishes_nothing(
    store: FakeEntries, files: LogFiles, signer: RecordingSigner
) -> None:
    signer.sign = lambda text: bytes(64)  # type: ignore[method-assign]  # noqa: ARG005
    store.add(1)
    with pytest.raises(CheckpointError, match="not signed by this log's key"):
        MatchLog(store, files, [signer], ORIGIN).publish()
    assert files.read_checkpoint() is None


def test_threads_publish_one_history(
    log: MatchLog, store: FakeEntries, signer: RecordingSigner
) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                store.entries.append(LEAF % 7)
                size = verify_checkpoint(log.publish(), [signer.key]).size
                proof = log.inclusion_proof(size - 1, size)
                verify_inclusion(leaf_hash(LEAF % 7), size - 1, size, proof, root(store, size))
        except BaseException as error:  # noqa: BLE001 (a thread must not lose it)
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    log.publish()
    assert_verifies(log, signer, 80)
    signer.assert_no_fork()


def test_no_path_is_written_twice_with_other_bytes(files: LogFiles) -> None:
    tile = Tile(0, 0, 1)
    files.write_tile(tile, b"a" * 32)
    files.write_tile(tile, b"a" * 32)
    with pytest.raises(CheckpointError, match="another history"):
        files.write_tile(tile, b"b" * 32)
    assert files.read_tile(tile) == b"a" * 32


def test_partial_tiles_go_once_the_tile_is_full(files: LogFiles, tmp_path: Path) -> None:
    for width in (1, 7, 256):
        files.write_tile(Tile(0, 0, width), b"a" * 32 * width)
    assert [p.name for p in (tmp_path / "log/tile/0").iterdir()] == ["000"]
    assert files.read_tile(Tile(0, 0, 7)) == b"a" * 32 * 7


def test_a_tile_is_cut_from_a_wider_one(files: LogFiles) -> None:
    files.write_tile(Tile(ENTRIES, 0, 3), b"\0\1a\0\1b\0\1c")
    assert files.read_tile(Tile(ENTRIES, 0, 2)) == b"\0\1a\0\1b"
    for width in (4, 256):
        with pytest.raises(UnavailableError):
            files.read_tile(Tile(ENTRIES, 0, width))


def test_damaged_files_are_reported(files: LogFiles, tmp_path: Path) -> None:
    files.write_tile(Tile(0, 0, 3), b"a" * 96)
    (tmp_path / "log/tile/0/000.p/3").write_bytes(b"short")
    for width in (2, 3):
        with pytest.raises(CheckpointError, match="damaged"):
            files.nodes()(0, width - 1)
