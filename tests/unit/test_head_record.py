"""The record of what was signed: apart from the data, so that a restored backup shows."""

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linkage.errors import CheckpointError
from linkage.log.note import Ed25519Signer
from linkage.matcher.head_record import HeadRecord, RecordedEntries
from linkage.matcher.match_log import MatchLog
from linkage.store.log_files import LogFiles
from linkage.store.metadata import Metadata, NewEntry

ORIGIN = "padan.test/log"
SIGNER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))


class Site:
    """A log in a folder of data, and the record in a folder of keys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "keys").mkdir()
        self.record = HeadRecord(root / "keys" / "log.key")

    def grow(self, n: int, data: str = "data") -> None:
        """Start on some data, append entries, publish each, stop."""
        (self.root / data).mkdir(exist_ok=True)
        metadata = Metadata(f"sqlite:///{self.root / data / 'matcher.db'}")
        try:
            files = LogFiles(self.root / data / "log")
            log = MatchLog(RecordedEntries(metadata, self.record), files, [SIGNER], ORIGIN)
            log.recover()
            for _ in range(n):
                with metadata.write() as transaction:
                    transaction.append(NewEntry(b"an entry"))
                log.publish()
        finally:
            metadata.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.record.begin()
    made.grow(3)
    return made


def test_a_log_goes_on_from_its_own_data(site: Site) -> None:
    site.grow(2)
    assert (site.record.read() or (0,))[0] == 5


def test_data_restored_whole_to_an_earlier_moment_are_refused(site: Site, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    site.grow(1)
    with pytest.raises(CheckpointError, match=r"restored backup.*padan matcher rebuild"):
        site.grow(1, "backup")


def test_data_that_are_gone_are_refused(site: Site) -> None:
    with pytest.raises(CheckpointError, match=r"0 entries, and 3 were signed.*matcher rebuild"):
        site.grow(1, "empty")


def test_keys_restored_without_their_record_are_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "keys" / "log.key.head").unlink()
    for data in ("data", "empty"):
        with pytest.raises(CheckpointError, match=r"is missing.*padan matcher rebuild"):
            site.grow(1, data)


def test_a_record_that_a_crash_left_half_written_tells_the_head_before(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "keys" / "log.key.head"
    whole = path.read_bytes()
    site.grow(1)
    after = path.read_bytes()
    (changed,) = (at for at in (0, 128) if whole[at : at + 128] != after[at : at + 128])
    for length in range(1, 128):
        torn = after[: changed + length] + whole[changed + length :]
        path.write_bytes(torn)
        size, _ = site.record.read() or (0, b"")
        assert size in (3, 4)
    path.write_bytes(after)
    site.grow(1)


@pytest.mark.parametrize("content", [b"", b"3\n", bytes(256), b"3 %s x\n" % (b"0" * 64), b"\xff"])
def test_a_damaged_record_is_refused(site: Site, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys" / "log.key.head").write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        site.grow(1)


def test_another_root_of_the_same_size_is_refused(site: Site) -> None:
    site.record.replace(3, bytes(32))
    with pytest.raises(CheckpointError, match="two roots"):
        site.grow(1)
