"""The steps by which a batch is encoded: a run that was stopped goes on after the last one.

Tables of records come first, then the entries of block tokens or tickets. Each step is kept,
sealed, once its chunks are; when the batch is whole all go.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.job import CodeId
from linkage.store.artefacts import ArtefactStore

STEP = "step-"
"""Names of the files of steps begin so."""

_ENTRY = b"entry"
_DIGEST_BYTES = 32
_NO_VALUES = np.zeros((0, 0), np.uint64)


@dataclass(frozen=True)
class Step:
    """What was made of one table, or for one entry.

    Attributes:
        made_of: digest of all that it and the steps before it were made of.
        chunks: SHA-256 of each of its chunks.
        values: hashed parts of a table's records, shape (n, n_parts).
        count: number of an entry's tickets.
    """

    made_of: bytes
    chunks: list[bytes]
    values: NDArray[np.uint64]
    count: int

    def to_bytes(self) -> bytes:
        """Return the step as it is kept."""
        out = io.BytesIO()
        np.savez(
            out,
            made_of=np.frombuffer(self.made_of, np.uint8),
            chunks=np.frombuffer(b"".join(self.chunks), np.uint8).reshape(-1, _DIGEST_BYTES),
            values=self.values,
            count=np.array(self.count),
        )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Step":
        """Return what `to_bytes` wrote."""
        with np.load(io.BytesIO(content), allow_pickle=False) as parts:
            chunks = [row.tobytes() for row in parts["chunks"]]
            return cls(parts["made_of"].tobytes(), chunks, parts["values"], int(parts["count"]))


class Steps:
    """The steps of one batch.

    A step of an earlier run is taken only if it and all before it were made of the same; else it
    goes before anything that it names is overwritten, and with it all that follow.

    Args:
        store: the agent's encrypted store.
        dataset: the spool.
        codes: under what the batch is encoded.
        on_changed: as of `spool.Reading`.
    """

    def __init__(
        self,
        store: ArtefactStore,
        dataset: str,
        codes: CodeId,
        on_changed: Callable[[int], None],
    ) -> None:
        self._store, self._dataset, self._on_changed = store, dataset, on_changed
        self._left = [name for name in store.names(dataset) if name.startswith(STEP)]
        self._made_of = hashlib.sha256(repr(codes).encode()).digest()
        self._kept: Step | None = None
        self._number = 0

    @property
    def _name(self) -> str:
        return f"{STEP}{self._number:06}"

    def begin(self, made_of: bytes, n_records: int) -> None:
        """Begin the next step.

        Args:
            made_of: digest of what it is made of.
            n_records: number of records before it.
        """
        self._made_of, self._kept = hashlib.sha256(self._made_of + made_of).digest(), None
        if not self._left:
            return
        kept = Step.from_bytes(self._store.read(self._dataset, self._left[0]))
        if self._left[0] == self._name and kept.made_of == self._made_of:
            self._kept = kept
            return
        for name in reversed(self._left):
            self._store.remove(self._dataset, name)
        self._left = []
        self._on_changed(n_records)

    def begin_entry(self, n_records: int) -> None:
        """Begin the step of the next entry of a batch of so many records."""
        self.begin(_ENTRY, n_records)

    def taken(self) -> Step | None:
        """Return the step that was begun, if an earlier run finished it."""
        if self._kept is not None:
            self._left.pop(0)
            self._number += 1
        return self._kept

    def finished_entries(self, n_records: int) -> list[Step]:
        """Return the steps of the first entries, all that are finished, and begin the next."""
        found = list[Step]()
        self.begin_entry(n_records)
        while (step := self.taken()) is not None:
            found.append(step)
            self.begin_entry(n_records)
        return found

    def done(
        self, chunks: list[bytes], values: NDArray[np.uint64] = _NO_VALUES, count: int = 0
    ) -> Step:
        """Keep the step that was begun, once its chunks are; the next one is to be begun then."""
        step = Step(self._made_of, chunks, values, count)
        self._store.write(self._dataset, self._name, step.to_bytes())
        self._number += 1
        return step
