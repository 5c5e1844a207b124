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
from typing import cast

import pyarrow as pa

from linkage.agent.config import Agreement
from linkage.errors import RecordError
from linkage.job import REFERENCE_BYTES
from linkage.store.artefacts import ArtefactStore

_FILE = "map"


class References:
    """The references of one agreement and epoch.

    Args:
        store: the agent's encrypted store.
        agreement: whose references these are.
        expires: day after which a new map can no longer be read.
    """

    def __init__(self, store: ArtefactStore, agreement: Agreement, expires: datetime.date) -> None:
        self._store = store
        # A digest: two ids never share a map, whatever characters they have.
        name = hashlib.sha256(f"{agreement.epoch}/{agreement.id}".encode()).hexdigest()
        self._dataset = f"references-{name[:32]}"
        store.create(self._dataset, expires)
        self._of: dict[str, bytes] = self._kept()

    def of(self, record_ids: Sequence[str]) -> bytes:
        """Return the references of records, 16 bytes each, in a row.

        Those of records not met before are drawn, and kept before they are returned.
        """
        new = [record_id for record_id in record_ids if record_id not in self._of]
        if new:
            # Another run of this agent may have met some of them in the meantime.
            with self._store.locked(self._dataset):
                self._of = self._kept()
                for record_id in new:
                    self._of.setdefault(record_id, os.urandom(REFERENCE_BYTES))
                self._keep()
        return b"".join(self._of[record_id] for record_id in record_ids)

    def _kept(self) -> dict[str, bytes]:
        if _FILE not in self._store.names(self._dataset):
            return {}
        with pa.ipc.open_file(io.BytesIO(self._store.read(self._dataset, _FILE))) as file:
            table = file.read_all()
        return dict(
            zip(
                cast("list[str]", table["record_id"].to_pylist()),
                cast("list[bytes]", table["reference"].to_pylist()),
                strict=True,
            )
        )

    def _keep(self) -> None:
        table = pa.table(
            {
                "record_id": pa.array(self._of.keys(), pa.string()),
                "reference": pa.array(self._of.values(), pa.binary(REFERENCE_BYTES)),
            }
        )
        out = io.BytesIO()
        with pa.ipc.new_file(out, table.schema) as file:
            file.write_table(table)
        self._store.write(self._dataset, _FILE, out.getvalue())

    def record_ids(self, references: bytes) -> list[str]:
        """Return the records of references, 16 bytes each, in a row.

        Raises:
            RecordError: a reference is none of this map's: the result is not ours.
        """
        record_of = {reference: record_id for record_id, reference in self._of.items()}
        parts = (
            references[i : i + REFERENCE_BYTES] for i in range(0, len(references), REFERENCE_BYTES)
        )
        try:
            return [record_of[part] for part in parts]
        except KeyError as error:
            raise RecordError(
                "the result names a record that this agent did not upload: keep it, and ask the "
                "matcher's operator"
            ) from error
