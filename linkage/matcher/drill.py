"""The restore drill: what a backup gives back, and what it must not.

A copy of database, log and artefacts is held against the matcher that goes on. Its log has to be
whole, signed and a part of that matcher's; every record of a job has to be there; and of the
artefacts nothing that was destroyed may be readable, with any key that the matcher still has or
that lies in the copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from linkage.errors import CheckpointError, NotFoundError, VerificationError
from linkage.job import JobState
from linkage.log.canonical import JsonObject, parse_json
from linkage.log.checkpoint import verify_checkpoint
from linkage.log.entry import parse_entry, verify_body
from linkage.log.hashing import leaf_hash
from linkage.log.tree import History
from linkage.log.vkey import VerifierKey
from linkage.matcher.config import MatcherConfig
from linkage.matcher.opened import read_metadata
from linkage.store.artefacts import ArtefactStore
from linkage.store.log_files import LogFiles
from linkage.store.metadata import Metadata, StoredEntry


@dataclass(frozen=True)
class Drill:
    """What was found in a restored copy.

    Attributes:
        entries: of its log.
        root: the root over them.
        bodies: confidential bodies that are what their leaves committed to.
        jobs: jobs in its database.
        datasets: datasets of artefacts in it.
        files: files in those.
        readable: files that the matcher's keys of today open.
        destroyed: files of datasets that were destroyed since, by the matcher's log.
        survivors: destroyed datasets of which a file can be read: there must be none.
        keys: files of keys in the copy: there must be none.
    """

    entries: int
    root: str
    bodies: int
    jobs: int
    datasets: int
    files: int
    readable: int
    destroyed: int
    survivors: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing is there that must not be."""
        return not self.survivors and not self.keys


def drill(config: MatcherConfig, restored: MatcherConfig, keys: Sequence[VerifierKey]) -> Drill:
    """Look through a restored copy; nothing of it is changed.

    Args:
        config: settings of the matcher that goes on; it may run.
        restored: settings whose `data` and `[store]` are the copy.
        keys: of the log.

    Raises:
        ConfigError: a database cannot be opened.
        VerificationError: the log of the copy is damaged, or another than the matcher's.
        UnavailableError: a database is gone.
    """
    with read_metadata(config) as metadata:
        live = metadata.read_entries(0, metadata.entry_count())
        destroyed = _destroyed(metadata)
    with read_metadata(restored) as metadata:
        entries = _entries(metadata)
        history = _check_log(entries, live, LogFiles(restored.data / "log"), keys)
        with metadata.read() as transaction:
            n_jobs = len(transaction.jobs_in(*JobState))
    opened_bodies = [entry for entry in entries if entry.body is not None]
    for entry in opened_bodies:
        _check_body(entry)
    artefacts = ArtefactStore(
        restored.data / "artefacts", config.keystore / "artefacts", as_it_is=True
    )
    opened = {name: _opened(artefacts, name) for name in artefacts.datasets()}
    return Drill(
        entries=len(entries),
        root=history.root_at(len(entries)).hex(),
        bodies=len(opened_bodies),
        jobs=n_jobs,
        datasets=len(opened),
        files=sum(len(files) for files in opened.values()),
        readable=sum(sum(files) for files in opened.values()),
        destroyed=sum(len(files) for name, files in opened.items() if name in destroyed),
        survivors=tuple(name for name, files in opened.items() if name in destroyed and any(files)),
        keys=tuple(_keys_in(restored, config)),
    )


def _entries(metadata: Metadata) -> list[StoredEntry]:
    with metadata.read() as transaction:
        return transaction.entries(0, transaction.entry_count())


def _destroyed(metadata: Metadata) -> frozenset[str]:
    """Return the datasets that the matcher's log says were destroyed."""
    return frozenset(
        name
        for entry in _entries(metadata)
        if entry.body is not None and parse_entry(entry.leaf).type == "destruction"
        for names in _datasets(entry.body).values()
        for name in names
    )


def _datasets(body: bytes) -> dict[str, list[str]]:
    return cast("dict[str, list[str]]", cast("JsonObject", parse_json(body))["datasets"])


def _check_log(
    entries: list[StoredEntry], live: list[bytes], files: LogFiles, keys: Sequence[VerifierKey]
) -> History:
    leaves = [entry.leaf for entry in entries]
    if leaves != live[: len(leaves)]:
        raise VerificationError("the copy has another log than the matcher: one of them is forged")
    note = files.read_checkpoint()
    if note is None:
        raise CheckpointError("the copy has no checkpoint: back the folder log up with the rest")
    head = verify_checkpoint(note, keys)
    history = History()
    for leaf in leaves:
        history.append(leaf_hash(leaf))
    if head.size > len(leaves) or history.root_at(head.size) != head.root:
        raise CheckpointError("files and database of the copy are not of one moment")
    files.files_at(head.size)
    return history


def _check_body(entry: StoredEntry) -> None:
    verify_body(parse_entry(entry.leaf), entry.opening or b"", entry.body or b"")


def _opened(artefacts: ArtefactStore, dataset: str) -> list[bool]:
    """Return of each file of a dataset whether it can be read."""
    return [_reads(artefacts, dataset, name) for name in artefacts.names(dataset)]


def _reads(artefacts: ArtefactStore, dataset: str, name: str) -> bool:
    try:
        artefacts.read_held(dataset, name)
    except (NotFoundError, VerificationError):
        return False
    return True


def _keys_in(restored: MatcherConfig, config: MatcherConfig) -> list[str]:
    """Return the files of keys among the copy's data, or in a keystore that was copied along."""
    found = [str(path.relative_to(restored.data)) for path in _key_files(restored.data)]
    keystore = restored.keystore
    if keystore.resolve() != config.keystore.resolve():
        found += [str(path.relative_to(keystore.parent)) for path in _key_files(keystore)]
    return sorted(found)


def _key_files(folder: Path) -> list[Path]:
    found = [*folder.rglob("expires-*"), *folder.rglob("held-*"), *folder.rglob("wrapped/*")]
    return [path for path in found if path.is_file()]
