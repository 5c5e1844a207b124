"""The encoder: columns of normalised words to packed codes, under one schema.

The encoder asks for keys by name and never sees how they are made. It keeps the
positions of tokens it has met, so it must live no longer than its job: a table of
plain tokens and their positions is as good as the key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from linkage.encode import public
from linkage.encode.bloom import PositionTable, set_bits, unite, word_filters
from linkage.encode.diffusion import diffuse, index_sets
from linkage.encode.exacttokens import ExactTokens
from linkage.encode.occupancy import mean_filter
from linkage.encode.oncetokens import BlockValues
from linkage.encode.saul import KeyedMajority
from linkage.encode.tokenids import token_ids
from linkage.encode.weights import base_positions, most_positions, token_positions
from linkage.normalise import NORM_VERSION, RESOURCES
from linkage.normalise.columns import WordColumn
from linkage.resources import resource_digest
from linkage.schema import LinkageSchema, resolve, schema_id_of
from linkage.types import Kind

ENCODER_VERSION = "3"

# Records for which the keyed matrix is read from memory once.
_BATCH = 8192


class EncodingKeys(Protocol):
    """The keys that encoding needs, for example a `keys.derive.LinkageKey`."""

    def space_key(self, space: str) -> bytes:
        """Return the 32-byte key of a token space."""

    def hardening_key(self) -> bytes:
        """Return the 32-byte key of the hardening."""

    def block_key(self, label: str) -> bytes:
        """Return a 32-byte key of the block tokens."""

    def exact_key(self, space: str) -> bytes:
        """Return the 32-byte key of the exact tokens of a space."""


@dataclass(frozen=True)
class EncodedRecords:
    """What a chunk of records becomes.

    Attributes:
        codes: packed codes, shape (n, bits / 8); bit i is bit i % 8 of byte i / 8. A
            record without any word has the code 0, which matches none.
        values: hashed parts of the block entries, shape (n, n_parts): what block tokens
            are made of for each job. They are never sent.
        exact: exact tokens, shape (n, exact_slots, 16).
    """

    codes: NDArray[np.uint8]
    values: NDArray[np.uint64]
    exact: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.codes)


class Encoder:
    """Encodes chunks of records of one schema under one linkage key.

    Args:
        schema: the linkage schema.
        keys: keys derived from the linkage key.
        random_bytes: returns so many random bytes, for tokens of absent values.
    """

    def __init__(
        self,
        schema: LinkageSchema,
        keys: EncodingKeys,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._schema = schema
        self._values = BlockValues(schema, keys.block_key)
        self._exact = ExactTokens(schema, keys.exact_key, random_bytes)
        self._n_bits = schema.encoding.filter_length
        self._bases = base_positions(schema)
        most: dict[str, float] = {}
        kinds: dict[str, Kind] = {}
        for attribute in schema.fuzzy:
            space = attribute.of_type.space
            most[space] = max(most.get(space, 0.0), self._bases[attribute.name])
            kinds[space] = attribute.of_type.kind
        self._tables = {
            space: PositionTable(
                keys.space_key(space), kind, most_positions(most[space]), self._n_bits
            )
            for space, kind in kinds.items()
        }
        self._harden = self._hardening(keys)

    def __repr__(self) -> str:
        return "Encoder(...)"

    def encode(self, columns: Mapping[str, WordColumn]) -> EncodedRecords:
        """Return what a chunk of records becomes.

        Args:
            columns: one column for each attribute of the schema, equally long.
        """
        return EncodedRecords(
            self.codes(columns), self._values.of(columns), self._exact.tokens(columns)
        )

    def codes(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint8]:
        """Return the codes alone, shape (n_records, bits / 8)."""
        codes = self._harden(self.filters(columns))
        return codes.astype("<u8", copy=False).view(np.uint8)

    def filters(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint64]:
        """Return the Bloom filters under the codes, shape (n_records, filter_bits / 64).

        They are never sent, but where the scheme is `clk`.
        """
        n_records = len(columns[self._schema.fuzzy[0].name])
        filters = np.zeros((n_records, self._n_bits // 64), dtype=np.uint64)
        for attribute in self._schema.fuzzy:
            column = columns[attribute.name]
            table = self._tables[attribute.of_type.space]
            tokens = token_ids(column.vocabulary, attribute.of_type.kind)
            table.draw(tokens.ids)
            n_positions = token_positions(column, tokens, attribute, self._bases[attribute.name])
            of_words = np.zeros((len(column.vocabulary), self._n_bits // 64), dtype=np.uint64)
            word_filters(tokens.ids, tokens.offsets, n_positions, table.positions, of_words)
            unite(filters, column.word_ids, column.offsets, of_words)
        return filters

    def _hardening(self, keys: EncodingKeys) -> Callable[[NDArray[np.uint64]], NDArray[np.uint64]]:
        encoding = self._schema.encoding
        if encoding.scheme == "clk":
            return lambda filters: filters
        if encoding.scheme == "diffused":
            sets = index_sets(keys.hardening_key(), encoding.code_bits, encoding.code_order)

            def diffused(filters: NDArray[np.uint64]) -> NDArray[np.uint64]:
                codes = np.empty_like(filters)
                diffuse(filters, sets, codes)
                return codes

            return diffused
        mean = mean_filter(self._schema, self._bases, self._tables, self._n_bits)
        majority = KeyedMajority(
            keys.hardening_key(), mean, encoding.code_bits, encoding.code_order
        )

        def saul(filters: NDArray[np.uint64]) -> NDArray[np.uint64]:
            codes = np.empty((len(filters), encoding.code_bits // 64), dtype=np.uint64)
            for first in range(0, len(filters), _BATCH):
                batch = filters[first : first + _BATCH]
                offsets = np.zeros(len(batch) + 1, dtype=np.int64)
                np.cumsum(np.bitwise_count(batch).sum(axis=1, dtype=np.int64), out=offsets[1:])
                codes[first : first + _BATCH] = majority.encode(set_bits(batch, offsets), offsets)
            return codes

        return saul


def resolve_schema(schema: LinkageSchema) -> dict[str, Any]:
    """Return the schema with every default, version and table of this encoder filled in."""
    tables = sorted({*public.TABLES, *RESOURCES})
    versions = {
        "encoder": ENCODER_VERSION,
        "normaliser": NORM_VERSION,
        "tables": {name: resource_digest(name) for name in tables},
    }
    bases = {name: round(base) for name, base in base_positions(schema).items()}
    return {**resolve(schema, versions), "positions_per_token": bases}


def schema_id(schema: LinkageSchema) -> bytes:
    """Return the id under which both sides must have encoded, 32 bytes."""
    return schema_id_of(resolve_schema(schema))
