"""Source columns to codes: normalise each attribute by its type, then encode."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.encode.encoder import Encoder
from linkage.normalise.columns import WordColumn, words_by_value
from linkage.normalise.dates import date_words
from linkage.normalise.dateparts import DateOrder
from linkage.normalise.text import fold_code, fold_words
from linkage.schema import Attribute, LinkageSchema


class RecordEncoder:
    """Encodes tables of text columns under one schema and source.

    Args:
        schema: the linkage schema.
        source: how the agency writes its values.
        space_key: returns the key of a token space.
    """

    def __init__(
        self, schema: LinkageSchema, source: SourceConfig, space_key: Callable[[str], bytes]
    ) -> None:
        self._schema, self._source = schema, source
        self._encoder = Encoder(schema, space_key)

    def encode(self, table: pa.Table) -> NDArray[np.uint8]:
        """Return the packed codes of a table, shape (n_records, bits / 8)."""
        return self._encoder.encode(
            {
                attribute.name: self._normalised(attribute, table[attribute.name])
                for attribute in self._schema.attributes
            }
        )

    def _normalised(
        self, attribute: Attribute, column: "pa.ChunkedArray[pa.StringScalar]"
    ) -> WordColumn:
        meaning = self._source.values.get(attribute.name, {})
        values: Iterable[str | None] = column.to_pylist()
        if meaning:
            values = (meaning.get(value, value) if value else value for value in values)
        return words_by_value(values, _words_of(attribute, self._source.date_order))


def _words_of(attribute: Attribute, order: DateOrder) -> Callable[[str], Sequence[str]]:
    match attribute.of_type.kind:
        case "date":
            return lambda value: date_words(value, order)
        case "code" | "year":
            return fold_code
        case _:
            return fold_words
