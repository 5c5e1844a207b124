"""Records that are not encoded: the persons asked for it, and an official granted it."""

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from linkage.errors import RecordError


def without(tables: Iterator[pa.Table], left_out: Collection[str]) -> Iterator[pa.Table]:
    """Yield tables of records without some records, and none that is empty.

    Raises:
        RecordError: at the end, where nothing is left.
    """
    if not left_out:
        yield from tables
        return
    names, anything = pa.array(sorted(left_out), pa.string()), False
    for table in tables:
        kept = table.filter(pc.invert(pc.is_in(table["record_id"], value_set=names)))
        if len(kept):
            anything = True
            yield kept
    if not anything:
        raise RecordError(
            "all records of the source are restricted: `padan agent rights list` shows them"
        )
