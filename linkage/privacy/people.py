"""What an attacker makes of plain records: the filters under own keys.

Whoever knows the schema can compute everything but the keys. So plain records are held
as the scheme's own Bloom filters under keys of the attacker, several side by side so that
collisions count little. From these follows how alike two codes must be on average:
without the victim's key, and without a noise of the hardening.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.compare.bits import popcounts
from linkage.encode.bloom import PositionTable
from linkage.encode.encoder import Encoder
from linkage.encode.occupancy import UNIT, mean_filter
from linkage.encode.weights import base_positions, most_positions
from linkage.normalise.columns import WordColumn
from linkage.privacy.pairwise import common_bits
from linkage.schema import Encoding, LinkageSchema, Scheme
from linkage.types import Kind

N_OWN_KEYS = 3


class SeededKeys:
    """Keys that follow from a number: an attacker's own.

    Args:
        seed: equal seeds give equal keys.
    """

    def __init__(self, seed: int) -> None:
        self._secret = seed.to_bytes(32, "big")

    def space_key(self, space: str) -> bytes:
        """Return the key of a token space."""
        return self._of(f"space {space}")

    def hardening_key(self) -> bytes:
        """Return the key of the hardening."""
        return self._of("harden")

    def block_key(self, label: str) -> bytes:
        """Return a key of the block tokens."""
        return self._of(f"block {label}")

    def exact_key(self, space: str) -> bytes:
        """Return the key of the exact tokens of a space."""
        return self._of(f"exact {space}")

    def _of(self, label: str) -> bytes:
        return hmac.digest(self._secret, label.encode(), "sha256")


@dataclass(frozen=True)
class PlainPeople:
    """Plain records as an attacker compares them.

    Attributes:
        filters: filters under the attacker's keys side by side, shape (n, n_words).
        mean: what the scheme takes from a filter before it compares, shape (64 n_words,);
            None where it compares the bits themselves.
        order: of the scheme.
    """

    filters: NDArray[np.uint64]
    mean: NDArray[np.float32] | None
    order: int

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.filters)

    def take(self, records: NDArray[np.int64]) -> "PlainPeople":
        """Return some of the records."""
        return PlainPeople(self.filters[records], self.mean, self.order)

    def uncentred(self) -> "PlainPeople":
        """Return the same records as a scheme that takes no mean away would see them."""
        mean = None if self.mean is None else np.zeros_like(self.mean)
        return PlainPeople(self.filters, mean, self.order)

    def inner(self, other: "PlainPeople") -> NDArray[np.float32]:
        """Return the inner products of (centred) filters, shape (n, m)."""
        products = common_bits(self.filters, other.filters)
        if self.mean is not None:
            products -= _dot_mean(self)[:, None]
            products -= _dot_mean(other)[None, :]
            products += self.mean @ self.mean
        return products

    def norms(self) -> NDArray[np.float32]:
        """Return the lengths of (centred) filters, shape (n,)."""
        squares = popcounts(self.filters).astype(np.float32)
        if self.mean is not None:
            squares = squares - 2 * _dot_mean(self) + self.mean @ self.mean
        return np.sqrt(np.maximum(squares, 1e-6)).astype(np.float32)

    def cosine(self, other: "PlainPeople") -> NDArray[np.float32]:
        """Return the cosines of (centred) filters, shape (n, m)."""
        cosine = self.inner(other)
        cosine /= self.norms()[:, None]
        cosine /= other.norms()[None, :]
        return np.clip(cosine, -1, 1, out=cosine)

    def expected_agreement(self, other: "PlainPeople") -> NDArray[np.float32]:
        """Return the mean of `signed_agreement` of the codes of each pair, shape (n, m).

        (1 - 2 theta / pi)^t of a majority, (1 - 2 p)^t of an XOR of t filter bits of
        which the share p differs.
        """
        if self.mean is not None:
            x = np.float32(1) - np.float32(2 / np.pi) * np.arccos(self.cosine(other))
        else:
            own, their = popcounts(self.filters), popcounts(other.filters)
            x = own[:, None] + their[None, :] - 2 * common_bits(self.filters, other.filters)
            x = 1 - x.astype(np.float32) / np.float32(32 * self.filters.shape[1])
        return (x**self.order).astype(np.float32)


def plain_people(
    schema: LinkageSchema, columns: Mapping[str, WordColumn], seed: int
) -> PlainPeople:
    """Return plain records as an attacker compares them.

    Args:
        schema: the linkage schema under attack.
        columns: normalised words of all records, by attribute.
        seed: of the attacker's keys.
    """
    encoding = schema.encoding
    light = schema
    if encoding.scheme == "saul":
        # The filters are wanted alone: the smallest matrix will do.
        least = Encoding(bits=1024, order=1, filter_bits=encoding.filter_length)
        light = schema.model_copy(update={"encoding": least})
    filters, means = [], []
    for number in range(N_OWN_KEYS):
        keys = SeededKeys(N_OWN_KEYS * seed + number)
        filters.append(Encoder(light, keys, bytes).filters(columns))
        if encoding.scheme == "saul":
            means.append(_public_mean(schema, keys))
    mean = np.concatenate(means) if means else None
    return PlainPeople(np.concatenate(filters, axis=1), mean, encoding.code_order)


def with_scheme(
    schema: LinkageSchema, scheme: Scheme, bits: int, order: int | None = None
) -> LinkageSchema:
    """Return the schema under another scheme."""
    encoding = Encoding(scheme=scheme, bits=bits, order=order)
    return schema.model_copy(update={"encoding": encoding})


def control_of(schema: LinkageSchema) -> LinkageSchema:
    """Return the schema under the textbook scheme that every attack must break.

    A plain filter of 1,024 bits, half of them set.
    """
    return with_scheme(schema, "clk", 1024)


def _public_mean(schema: LinkageSchema, keys: SeededKeys) -> NDArray[np.float32]:
    bases, n_bits = base_positions(schema), schema.encoding.filter_length
    most: dict[str, float] = {}
    kinds: dict[str, Kind] = {}
    for attribute in schema.fuzzy:
        space = attribute.of_type.space
        most[space] = max(most.get(space, 0.0), bases[attribute.name])
        kinds[space] = attribute.of_type.kind
    tables = {
        space: PositionTable(keys.space_key(space), kind, most_positions(most[space]), n_bits)
        for space, kind in kinds.items()
    }
    return (mean_filter(schema, bases, tables, n_bits) / UNIT).astype(np.float32)


def _dot_mean(people: PlainPeople) -> NDArray[np.float32]:
    """Return the inner products of filters with the mean, shape (n,)."""
    if people.mean is None:
        raise ValueError("filters that are not centred have no mean")
    bits = np.unpackbits(people.filters.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return (bits @ people.mean).astype(np.float32)
