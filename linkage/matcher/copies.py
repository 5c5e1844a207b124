"""Copies of the match log that a matcher can be made again from, held against each other.

A copy is a folder with checkpoint, tiles and bodies: an agent's mirror, or an auditor's bundle.
Nothing in it is taken on anybody's word. The longest one counts if its entries give the root that
this log's own key signed; all others, and every head that anybody remembers, have to lie in its
history; every body has to be what its leaf committed to.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from linkage.errors import (
    CheckpointError,
    ConfigError,
    MalformedMessageError,
    SignatureError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from linkage.log.canonical import JsonObject, parse_json
from linkage.log.checkpoint import Checkpoint, verify_checkpoint
from linkage.log.entry import Entry, parse_body, parse_entry, verify_body
from linkage.log.hashing import leaf_hash
from linkage.log.tree import History
from linkage.log.vkey import VerifierKey
from linkage.store.log_copy import CONTRADICTION
from linkage.store.log_files import LogFiles


@dataclass(frozen=True)
class Head:
    """A head of the log that somebody remembers.

    Attributes:
        where: who, for the error.
        size: its number of entries.
        root: the root over them.
        own: whether only the matcher itself is known to have had it.
    """

    where: str
    size: int
    root: bytes
    own: bool = False


class Copies:
    """Some copies of one log, found to be copies of it.

    Args:
        folders: the copies.
        keys: of the log.

    Attributes:
        note: the checkpoint of the longest.
        head: the same, read.
        leaves: its entries.
        entries: the same, parsed.
        bodies: what confidential leaves committed to, and the opening, as far as a copy has it.

    Raises:
        ConfigError: a folder is no copy of a log.
        SignatureError: a checkpoint is not signed by the log.
        SplitViewError: two copies have two histories.
        CheckpointError: the longest is damaged.
        VerificationError: a body is not what its leaf committed to.
    """

    def __init__(self, folders: Sequence[Path], keys: Sequence[VerifierKey]) -> None:
        self._keys = keys
        notes = [(folder, _note_of(folder)) for folder in folders]
        heads = [self._head(str(folder), note) for folder, note in notes]
        self._longest, self.note = max(
            zip(folders, (note for _, note in notes), strict=True),
            key=lambda one: heads[folders.index(one[0])].size,
        )
        longest = max(heads, key=lambda head: head.size)
        self.head = Checkpoint(keys[0].name, longest.size, longest.root)
        self.leaves = self._read()
        self.entries = [parse_entry(leaf) for leaf in self.leaves]
        self.check(heads)
        self.check(self._contradictions(folders))
        self.bodies: dict[int, tuple[bytes, bytes]] = {}
        for folder in folders:
            for index, data in LogFiles(folder).read_bodies():
                self._open(folder, index, data)

    def check(self, heads: Iterable[Head], *, all_asked: bool = False) -> None:
        """Check that heads which somebody remembers lie in this history.

        Args:
            heads: the heads.
            all_asked: whether all who could have a longer copy were asked: what the matcher
                alone remembers beyond the end, it showed to nobody.

        Raises:
            CheckpointError: one is beyond the end.
            SplitViewError: one is of another history.
        """
        for head in heads:
            if head.size <= self._history.size:
                if self._history.root_at(head.size) != head.root:
                    raise SplitViewError(
                        f"{head.where} and {self._longest} are two histories of this log, both "
                        "under its key: keep both, and tell the auditors"
                    )
            elif not (head.own and all_asked):
                raise CheckpointError(
                    f"{head.where}: {head.size} entries were signed, and the copies end at "
                    f"{self._history.size}: give a newer copy, of any party or auditor"
                    + (
                        "; if all of them were asked and end there, --all-asked says so"
                        if head.own
                        else ""
                    )
                )

    def seen(self, where: str, note: bytes) -> Head:
        """Return the head of a checkpoint, which the log has to have signed.

        Raises:
            SignatureError: it has not.
        """
        return self._head(where, note)

    def add_bodies(self, bodies: Mapping[int, tuple[bytes, bytes, bytes]]) -> None:
        """Take bodies that the matcher still has, where they belong to this history.

        Args:
            bodies: leaf, opening and body, by index.
        """
        for index, (leaf, opening, body) in bodies.items():
            if index < len(self.leaves) and self.leaves[index] == leaf:
                self.bodies.setdefault(index, (opening, body))

    def missing(self) -> Counter[str]:
        """Return how many bodies no copy has, by agreement; "" for none."""
        return Counter(
            entry.agreement or ""
            for index, entry in enumerate(self.entries)
            if entry.commitment is not None and index not in self.bodies
        )

    def opened(self) -> Iterator[tuple[int, Entry, JsonObject | None]]:
        """Yield every entry with its index and, where a copy has it, its confidential body."""
        for index, entry in enumerate(self.entries):
            pair = self.bodies.get(index)
            yield index, entry, None if pair is None else cast("JsonObject", parse_json(pair[1]))

    def root_at(self, size: int) -> bytes | None:
        """Return the root at a size, or None beyond the end."""
        return self._history.root_at(size) if size <= self._history.size else None

    def _head(self, where: str, note: bytes) -> Head:
        try:
            # As the matcher itself reads an earlier one: it may be older than the second key.
            head = verify_checkpoint(note, self._keys, every_type=False)
        except (SignatureError, CheckpointError) as error:
            text = f"{where}: not a checkpoint that this log's key signed: {error}"
            raise SignatureError(text) from error
        return Head(where, head.size, head.root)

    def _read(self) -> list[bytes]:
        """Return the entries of the longest copy, found to give the root that was signed."""
        self._history = History()
        try:
            leaves = LogFiles(self._longest).read_entries(self.head.size)
        except (UnavailableError, CheckpointError) as error:
            raise self._damaged(str(error)) from error
        for leaf in leaves:
            self._history.append(leaf_hash(leaf))
        if self._history.root_at(self.head.size) != self.head.root:
            raise self._damaged("its entries do not give the root that was signed")
        return leaves

    def _contradictions(self, folders: Sequence[Path]) -> Iterator[Head]:
        for folder in folders:
            path = folder / CONTRADICTION
            if path.exists():
                yield self._head(str(path), path.read_bytes())

    def _open(self, folder: Path, index: int, data: bytes) -> None:
        try:
            opening, body = parse_body(data)
            if index < len(self.entries):
                verify_body(self.entries[index], opening, body)
                self.bodies[index] = opening, body
        except (MalformedMessageError, VerificationError) as error:
            raise VerificationError(f"{folder}: the body of leaf {index}: {error}") from error

    def _damaged(self, why: str) -> CheckpointError:
        return CheckpointError(f"{self._longest}: the copy is damaged: {why}: give another")


def _note_of(folder: Path) -> bytes:
    note = LogFiles(folder).read_checkpoint()
    if note is None:
        problem = "is no copy of a log: the folder `log` of an agent's work folder is one"
        raise ConfigError(str(folder), [problem])
    return note
