"""Source columns to codes: normalise each attribute by its type, then encode."""

import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.agent.config import SourceConfig
from linkage.encode.encoder import EncodedRecords, Encoder, EncodingKeys
from linkage.encode.oncetokens import BlockValues
from linkage.errors import ConfigError
from linkage.normalise.attributes import normalise_column, sex_system_of
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.sexes import sex_codes
from linkage.schema import Attribute, LinkageSchema

# Ages become years of birth. Where no party says when its ages were stated, they are
# compared as if all had been stated in one and the same year.
_ANY_YEAR = 2000


class RecordNormaliser:
    """Normalises tables of text columns under one schema and source.

    Args:
        schema: the linkage schema.
        source: how the agency writes its values.

    Raises:
        ConfigError: the schema leaves out a rule that there is not, or the source
            lacks a setting that a type needs.
    """

    def __init__(self, schema: LinkageSchema, source: SourceConfig) -> None:
        self._schema, self._source = schema, source
        self._options = {a.name: _options(a, source) for a in schema.attributes}
        self._sex = next((a for a in schema.attributes if a.type == "sex"), None)

    def columns(self, table: pa.Table) -> dict[str, FlaggedColumn]:
        """Return the normalised words of every attribute."""
        sexes = None
        if self._sex is not None:
            # Short forms of names depend on the sex of whom they name.
            sexes = sex_codes(self._column(self._sex, table, None))
        return {a.name: self._column(a, table, sexes) for a in self._schema.attributes}

    def _column(
        self, attribute: Attribute, table: pa.Table, sexes: NDArray[np.uint8] | None
    ) -> FlaggedColumn:
        values = self._values(attribute, table)
        options = self._options[attribute.name]
        if attribute.type == "sex" and options.sex_system is None:
            # Once for a source: its last records may be of one sex alone, and tell nothing.
            options = replace(options, sex_system=sex_system_of(values))
            self._options[attribute.name] = options
        return normalise_column(values, attribute.type, options, sexes)

    def _values(
        self, attribute: Attribute, table: pa.Table
    ) -> "pa.ChunkedArray[pa.StringScalar] | list[str | None]":
        column = table[attribute.name]
        meaning = self._source.values.get(attribute.name)
        if not meaning:
            return column
        return [meaning.get(value, value) if value else value for value in column.to_pylist()]


class RecordEncoder:
    """Encodes tables of text columns under one schema and source.

    Args:
        schema: the linkage schema.
        source: how the agency writes its values.
        keys: keys derived from the linkage key.
    """

    def __init__(self, schema: LinkageSchema, source: SourceConfig, keys: EncodingKeys) -> None:
        self._normaliser = RecordNormaliser(schema, source)
        self._encoder = Encoder(schema, keys, os.urandom)

    def columns(self, table: pa.Table) -> dict[str, FlaggedColumn]:
        """Return the normalised words of a table."""
        return self._normaliser.columns(table)

    def encode(self, table: pa.Table) -> EncodedRecords:
        """Return the codes and tokens of a table."""
        return self.encode_columns(self.columns(table))

    def encode_columns(self, columns: Mapping[str, FlaggedColumn]) -> EncodedRecords:
        """Return the codes and tokens of records by their normalised words."""
        return self._encoder.encode(columns)

    def codes(self, table: pa.Table) -> NDArray[np.uint8]:
        """Return the packed codes of a table alone, shape (n_records, bits / 8)."""
        return self._encoder.codes(self._normaliser.columns(table))


class RecordValues:
    """Reads tables of text columns for a job of two rounds, in which no codes are made.

    Args:
        schema: the linkage schema.
        source: how the agency writes its values.
        keys: keys derived from the linkage key.
    """

    def __init__(self, schema: LinkageSchema, source: SourceConfig, keys: EncodingKeys) -> None:
        self._normaliser = RecordNormaliser(schema, source)
        self._values = BlockValues(schema, keys.block_key)

    def columns(self, table: pa.Table) -> dict[str, FlaggedColumn]:
        """Return the normalised words of a table."""
        return self._normaliser.columns(table)

    def values(self, columns: Mapping[str, FlaggedColumn]) -> NDArray[np.uint64]:
        """Return the hashed parts of the block entries, shape (n, n_parts)."""
        return self._values.of(columns)


def _options(attribute: Attribute, source: SourceConfig) -> NormaliseOptions:
    try:
        return NormaliseOptions(
            language=attribute.language,
            without=frozenset(attribute.without),
            date_order=source.date_order,
            year_pivot=source.year_pivot,
            reference_year=source.reference_year or _ANY_YEAR,
        )
    except ConfigError as error:
        raise ConfigError(f"attribute {attribute.name}", error.problems) from error
