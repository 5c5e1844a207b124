"""The encoder: columns of normalised words to packed codes, under one schema.

The encoder asks for keys by token space and never sees how they are made. It
keeps the positions of tokens it has met, so it must live no longer than its job:
a table of plain tokens and their positions is as good as the key.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkage.encode.bloom import ragged, set_positions, token_positions
from linkage.encode.tokens import tokens_of_word
from linkage.normalise.columns import WordColumn
from linkage.schema import Attribute, LinkageSchema, resolve, schema_id_of

ENCODER_VERSION = "1"
NORM_VERSION = "1"

# A filter of n tokens with k positions each is half full at n k = m ln 2: most
# information per bit, and the least that the number of set bits tells.
_HALF_FULL = math.log(2)


class Encoder:
    """Encodes chunks of records of one schema under one linkage key.

    Args:
        schema: the linkage schema.
        space_key: returns the 32-byte key of a token space by its name.
    """

    def __init__(self, schema: LinkageSchema, space_key: Callable[[str], bytes]) -> None:
        self._schema = schema
        self._keys = {space: space_key(space) for space in _spaces(schema)}
        self._positions_per_token = positions_per_token(schema)
        self._positions: dict[tuple[str, str, int], NDArray[np.uint32]] = {}

    def encode(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint8]:
        """Return the codes of a chunk of records.

        Args:
            columns: one column for each attribute of the schema, equally long.

        Returns:
            Packed codes, shape (n_records, bits / 8); bit i is bit i % 8 of byte
            i / 8. A record without any word has an empty code, which matches none.
        """
        n_records = len(columns[self._schema.attributes[0].name])
        filters = np.zeros((n_records, self._schema.encoding.bits // 64), dtype="<u8")
        for attribute in self._schema.attributes:
            column = columns[attribute.name]
            positions, offsets = ragged(
                [self._positions_of_word(word, attribute) for word in column.vocabulary]
            )
            set_positions(filters, column.word_ids, column.offsets, positions, offsets)
        return filters.view(np.uint8)

    def _positions_of_word(self, word: str, attribute: Attribute) -> NDArray[np.uint32]:
        space = attribute.of_type.space
        k = self._positions_per_token[attribute.name]
        rows = []
        for token in tokens_of_word(word, attribute.of_type.kind):
            row = self._positions.get((space, token, k))
            if row is None:
                row = token_positions(self._keys[space], token, k, self._schema.encoding.bits)
                self._positions[space, token, k] = row
            rows.append(row)
        return np.concatenate(rows) if rows else np.zeros(0, np.uint32)


def positions_per_token(schema: LinkageSchema) -> dict[str, int]:
    """Return k for each attribute: in proportion to its weight, filters half full.

    Uses the mean number of tokens by type, not those of the data, so that all
    parties of a schema come to the same numbers.
    """
    full = sum(a.token_weight * a.of_type.mean_tokens for a in schema.attributes)
    unit = _HALF_FULL * schema.encoding.bits / full
    return {a.name: max(1, round(a.token_weight * unit)) for a in schema.attributes}


def resolve_schema(schema: LinkageSchema) -> dict[str, Any]:
    """Return the schema with every default and version of this encoder filled in."""
    versions = {"encoder": ENCODER_VERSION, "normaliser": NORM_VERSION}
    return {**resolve(schema, versions), "positions_per_token": positions_per_token(schema)}


def schema_id(schema: LinkageSchema) -> bytes:
    """Return the id under which both sides must have encoded, 32 bytes."""
    return schema_id_of(resolve_schema(schema))


def _spaces(schema: LinkageSchema) -> set[str]:
    return {attribute.of_type.space for attribute in schema.attributes}
