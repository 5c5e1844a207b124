"""Exact tokens: keyed tokens of whole values, for equality and nothing else.

A token is HMAC-SHA-256 of the value under the key of its space, cut to 16 bytes. The
key must stay out of the matcher's reach: there are no more than 5e10 likely NIKs, so
whoever has the key has the numbers. A record without a value gets a random token, which
equals no other, so that what is missing does not show.
"""

import hmac
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from linkage.job import EXACT_TOKEN_BYTES
from linkage.normalise.columns import WordColumn
from linkage.schema import LinkageSchema


class ExactTokens:
    """Makes the exact tokens of a schema's records.

    Args:
        schema: the linkage schema.
        exact_key: returns the 32-byte key of a space.
        random_bytes: returns so many random bytes, for tokens of absent values.
    """

    def __init__(
        self,
        schema: LinkageSchema,
        exact_key: Callable[[str], bytes],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._keys = [(a.name, exact_key(a.of_type.space)) for a in schema.exact_attributes]
        self._random = random_bytes

    def __repr__(self) -> str:
        return "ExactTokens(...)"

    def tokens(self, columns: Mapping[str, WordColumn]) -> NDArray[np.uint8]:
        """Return the tokens of a chunk of records, shape (n_records, n_exact, 16)."""
        n_records = len(next(iter(columns.values())))
        shape = (n_records, len(self._keys), EXACT_TOKEN_BYTES)
        noise = self._random(n_records * len(self._keys) * EXACT_TOKEN_BYTES)
        tokens = np.frombuffer(noise, dtype=np.uint8).reshape(shape).copy()
        for number, (name, key) in enumerate(self._keys):
            column = columns[name]
            there = np.flatnonzero(np.diff(column.offsets))
            values = [" ".join(sorted(column.words_of(int(record)))) for record in there]
            made = b"".join(_token(key, value) for value in values)
            tokens[there, number] = np.frombuffer(made, np.uint8).reshape(-1, EXACT_TOKEN_BYTES)
        return tokens


def _token(key: bytes, value: str) -> bytes:
    return hmac.digest(key, value.encode(), "sha256")[:EXACT_TOKEN_BYTES]
