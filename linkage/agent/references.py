"""Record references: 16 random bytes for each record, and the map back to it.

A reference is drawn once per agreement, epoch and record, and used again by later
batches of that epoch. The map is the only way from a link back to a record; it
stays in the agent's encrypted store.
"""

import datetime
import hashlib
import io
import os
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from linkage.agent.config import Agreement
from linkage.agent.source import digests_of
from linkage.errors import RecordError
from linkage.job import REFERENCE_BYTES
from linkage.store.artefacts import ArtefactStore

_PART, _REVOKED = "map-", "revoked-"


class GivesReferences(Protocol):
    """Gives records their references: the map, or who stands before it."""

    def of(self, record_ids: Sequence[str]) -> bytes:
        """Return the references of records, 16 bytes each, in a row."""


class References:
    """The references of one agreement and epoch.

    The map is kept in parts, one for each time that new records were met, and held as
    arrays: some 60 bytes for each record.

    Args:
        store: the agent's encrypted store.
        agreement: whose references these are.
        expires: day after which a new map can no longer be read.
    """

    def __init__(self, store: ArtefactStore, agreement: Agreement, expires: datetime.date) -> None:
        self._store = store
        self._dataset = references_of(agreement)
        store.create(self._dataset, expires)
        self._read: set[str] = set()
        self._ids: list[pa.Array[pa.StringScalar]] = []
        self._references: list[NDArray[np.void]] = []
        self._digests: NDArray[np.void] = np.zeros(0, dtype="V16")
        self._order: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._revoked: set[str] = set()
        self._update()

    def __len__(self) -> int:
        """Return the number of references, revoked ones too."""
        return sum(map(len, self._references))

    def of(self, record_ids: Sequence[str]) -> bytes:
        """Return the references of records, 16 bytes each, in a row.

        Those of records not met before are drawn, and kept before they are returned.
        """
        digests = digests_of(record_ids)
        if (self._places(digests) < 0).any():
            # Another run of this agent may have met some of them in the meantime.
            with self._store.locked(self._dataset):
                self._update()
                unknown = np.flatnonzero(self._places(digests) < 0)
                _, first = np.unique(digests[unknown], return_index=True)
                self._draw([record_ids[i] for i in unknown[np.sort(first)]])
        places = self._places(digests)
        return np.concatenate([np.zeros(0, "V16"), *self._references])[places].tobytes()

    def everything(self) -> bytes:
        """Return all references of the map, 16 bytes each, in a row."""
        return np.concatenate([np.zeros(0, "V16"), *self._references]).tobytes()

    def record_ids(self, references: bytes) -> list[str]:
        """Return the records of references, 16 bytes each, in a row.

        Raises:
            RecordError: a reference is none of this map's: the result is not ours.
        """
        places = self.numbers(references)
        if (places < 0).any():
            raise RecordError(
                "the result names a record that this agent did not upload: keep it, and ask the "
                "matcher's operator"
            )
        return self.numbered(places)

    def numbers(self, references: bytes) -> NDArray[np.int64]:
        """Return the number of each reference in the map, 16 bytes each; -1 where it has none.

        Numbers count from 0, in the order in which references were drawn, and never change.
        """
        known = np.concatenate([np.zeros(0, "V16"), *self._references])
        order = np.argsort(known, kind="stable")
        return _found(known[order], order, np.frombuffer(references, dtype="V16"))

    def numbered(self, numbers: NDArray[np.int64]) -> list[str]:
        """Return the records of some numbers."""
        ids = pa.chunked_array(self._ids, pa.string()).take(numbers)
        return cast("list[str]", ids.to_pylist())

    def numbers_of(self, record_id: str) -> NDArray[np.int64]:
        """Return the numbers of all references that a record ever had, revoked ones too."""
        ids = pa.chunked_array(self._ids, pa.string())
        return np.flatnonzero(pc.equal(ids, pa.scalar(record_id, pa.string())).to_numpy())

    def revoke(self, record_ids: Sequence[str]) -> None:
        """Give up the references of records: the next batch draws new ones.

        An old one still leads back to its record, so that a result that names it can be read;
        no batch or register has it from now on.
        """
        with self._store.locked(self._dataset):
            self._update()
            places = self._places(digests_of(record_ids))
            known = np.concatenate([np.zeros(0, "V16"), *self._references])
            gone = known[places[places >= 0]]
            if len(gone):
                name = f"{_REVOKED}{len(self._revoked):06}"
                self._store.write(self._dataset, name, gone.tobytes())
                self._update()

    def _places(self, digests: NDArray[np.void]) -> NDArray[np.int64]:
        """Return the number of each record in the map, -1 where it is not there."""
        return _found(self._digests, self._order, digests)

    def _draw(self, record_ids: Sequence[str]) -> None:
        if not record_ids:
            return
        drawn = np.frombuffer(os.urandom(REFERENCE_BYTES * len(record_ids)), dtype="V16")
        table = pa.table(
            {
                "record_id": pa.array(record_ids, pa.string()),
                "reference": pa.array(drawn.tolist(), pa.binary(REFERENCE_BYTES)),
            }
        )
        out = io.BytesIO()
        with pa.ipc.new_file(out, table.schema) as file:
            file.write_table(table)
        self._store.write(self._dataset, f"{_PART}{len(self._read):06}", out.getvalue())
        self._update()

    def _update(self) -> None:
        """Read the parts that are not yet read."""
        there = self._store.names(self._dataset)
        names = {name for name in there if name.startswith(_PART)}
        revoked = {name for name in there if name.startswith(_REVOKED)}
        for name in sorted(names - self._read):
            with pa.ipc.open_file(io.BytesIO(self._store.read(self._dataset, name))) as file:
                table = file.read_all()
            ids = table["record_id"].combine_chunks()
            self._ids.append(ids)
            joined = b"".join(cast("list[bytes]", table["reference"].to_pylist()))
            self._references.append(np.frombuffer(joined, dtype="V16"))
            added = digests_of(cast("list[str]", ids.to_pylist()))
            first = sum(map(len, self._references)) - len(added)
            numbers = np.arange(first, first + len(added))
            digests = np.concatenate([self._digests, added])
            order = np.argsort(digests, kind="stable")
            self._digests = digests[order]
            self._order = np.concatenate([self._order, numbers])[order]
            self._read.add(name)
        for name in sorted(revoked - self._revoked):
            gone = np.frombuffer(self._store.read(self._dataset, name), "V16")
            live = ~np.isin(np.concatenate(self._references)[self._order], gone)
            self._digests, self._order = self._digests[live], self._order[live]
            self._revoked.add(name)


def references_of(agreement: Agreement) -> str:
    """Return the name of the dataset that holds the map of an agreement and epoch."""
    # A digest: two ids never share a map, whatever characters they have.
    name = hashlib.sha256(f"{agreement.epoch}/{agreement.id}".encode()).hexdigest()
    return f"references-{name[:32]}"


def _found(
    ordered: NDArray[np.void], order: NDArray[np.int64], wanted: NDArray[np.void]
) -> NDArray[np.int64]:
    """Return where each wanted value stands, -1 where it does not."""
    if not len(ordered):
        return np.full(len(wanted), -1, dtype=np.int64)
    at = np.searchsorted(ordered, wanted).clip(max=len(ordered) - 1)
    places: NDArray[np.int64] = np.where(ordered[at] == wanted, order[at], -1)
    return places
