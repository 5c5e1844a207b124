"""Field filters: one small filter per attribute under a key that serves one pair.

Both owners of a pair hold its key K. A draw of token t of space s is a byte of

    AES-256(K, s || block || t)          draws 16 block .. 16 block + 15 of the token

that is a keystream in counter mode, read only where a token stands. The tokens of a value
take turns (`fieldtokens`), and each turn's draw names a position of the filter, until
exactly `N_SET` of `N_BITS` distinct positions are set.

What the matcher learns. To whoever does not hold K, the draws are independent and uniform,
a function of (K, space, token, number) that is used for this pair and never again.
Renumbering the positions by any permutation leaves the draws as likely as they were and
renumbers the filters with them; so given how large their common part is, two filters of
`N_SET` positions are uniform among all such pairs (but for the one filter in 1e12 that is
filled up from below). Their intersection count is therefore all that they tell, and one
filter alone tells nothing at all. Filters of one space in one pair (given name and
surname, on both sides) tell the sizes of all their common parts, for the same reason, and
filters of two pairs or two spaces are independent. How long a value is, how many tokens it
has and how often it occurs do not show. A missing value has an empty filter, for that it
is missing is part of the result of every comparison.

The rarity class is a secret of the pair in the same way. Left sends class XOR mask, right
sends mask, where the mask is one bit of AES-256(K, s || 0xFFFF || digest of the tokens):
where the tokens are the same the matcher takes one from the other and has the class, and
otherwise two independent uniform numbers. So a class is seen only of two equal values.

Of an identifier 8 bytes of AES-256(K, 0xFFFE || its number || digest of the value) are sent:
equal where the values are, and else independent and uniform.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

from linkage.encode.fieldtokens import MAX_TOKENS, TokenColumn, ValueTokens
from linkage.fieldrow import FILTER_BYTES, IDENTIFIER_BYTES, N_CLASSES, N_SET, RowForm
from linkage.normalise.columns import FlaggedColumn
from linkage.normalise.compiled import compiled
from linkage.schema import LinkageSchema

Side = Literal["left", "right"]

KEY_BYTES = 32
_BLOCK_BYTES = 16
_MASK_BLOCK = 0xFFFF
_IDENTIFIER_BLOCK = 0xFFFE
# Pairs whose keystream is held at once, some 1 KB each.
_BATCH = 4096


class FieldEncoder:
    """Makes the field filters of records of one owner, pair by pair.

    Holds the tokens of a vocabulary and no key.

    Args:
        schema: the linkage schema.
        columns: normalised words of all records, by attribute, equally long.
    """

    def __init__(self, schema: LinkageSchema, columns: Mapping[str, FlaggedColumn]) -> None:
        spaces = sorted({a.of_type.space for a in schema.fuzzy})
        self._columns = [TokenColumn(columns[a.name], a) for a in schema.fuzzy]
        self._spaces = [spaces.index(a.of_type.space) for a in schema.fuzzy]
        self._identifiers = [_digests(columns[a.name]) for a in schema.identifiers]
        self._n_records = len(columns[schema.fuzzy[0].name])

    def __repr__(self) -> str:
        return "FieldEncoder(...)"

    @property
    def row_bytes(self) -> int:
        """Bytes that are sent for one pair."""
        return RowForm(len(self._columns), len(self._identifiers)).n_bytes

    def encode(
        self, records: NDArray[np.int64], keys: NDArray[np.uint8], side: Side
    ) -> NDArray[np.uint8]:
        """Return the rows of pairs, shape (n_pairs, row_bytes), as `linkage.fieldrow` says.

        Args:
            records: the own record of each pair, shape (n_pairs,); may repeat.
            keys: the key of each pair, shape (n_pairs, 32). The caller sees to it that a
                key serves one pair: two filters under one key can be compared.
            side: `left` for the owner that the job names first; the two owners of a pair
                must take different ones.

        Raises:
            ValueError: shapes that do not fit, or a record that there is not.
        """
        if keys.shape != (len(records), KEY_BYTES) or keys.dtype != np.uint8:
            raise ValueError("one key of 32 bytes is needed for each pair")
        if len(records) and not 0 <= records.min() <= records.max() < self._n_records:
            raise ValueError("no such record")
        rows = np.zeros((len(records), self.row_bytes), dtype=np.uint8)
        for first in range(0, len(records), _BATCH):
            part = slice(first, first + _BATCH)
            self._encode(records[part], keys[part], side, rows[part])
        return rows

    def _encode(
        self,
        records: NDArray[np.int64],
        keys: NDArray[np.uint8],
        side: Side,
        rows: NDArray[np.uint8],
    ) -> None:
        own, value_of = np.unique(records, return_inverse=True)
        # One key schedule for each pair; every block is one value of a keyed function.
        material = keys.tobytes()
        pads = [
            Cipher(AES256(material[at : at + KEY_BYTES]), ECB()).encryptor()  # noqa: S305
            for at in range(0, len(material), KEY_BYTES)
        ]
        shares = len(self._columns) * FILTER_BYTES
        for a, (column, space) in enumerate(zip(self._columns, self._spaces, strict=True)):
            filters, mask = _filters(column.of(own), space, value_of, pads)
            rows[:, a * FILTER_BYTES : (a + 1) * FILTER_BYTES] = filters
            rows[:, shares + a] = mask ^ column.classes[records] if side == "left" else mask
        at = shares + len(self._columns)
        for number, digests in enumerate(self._identifiers):
            part = slice(at, at + IDENTIFIER_BYTES)
            rows[:, part] = _equality(digests[records], number, pads)
            at += IDENTIFIER_BYTES


def _digests(column: FlaggedColumn) -> NDArray[np.uint64]:
    """Return 64 bits of each record's value, 0 where it is missing, shape (n,)."""
    digests = np.zeros(len(column), dtype=np.uint64)
    for record in np.flatnonzero(np.diff(column.offsets)).tolist():
        text = " ".join(sorted(column.words_of(record)))
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        digests[record] = int.from_bytes(digest, "little") or 1
    return digests


def _equality(
    digests: NDArray[np.uint64], number: int, pads: Sequence[CipherContext]
) -> NDArray[np.uint8]:
    """Return what stands for an identifier in each pair, shape (n_pairs, 8)."""
    blocks = np.empty((len(digests), 2), dtype="<u8")
    blocks[:, 0] = _IDENTIFIER_BLOCK << 16 | number << 32
    blocks[:, 1] = digests
    plain = blocks.tobytes()
    made = b"".join(
        pad.update(plain[_BLOCK_BYTES * i : _BLOCK_BYTES * (i + 1)]) for i, pad in enumerate(pads)
    )
    equality = np.frombuffer(made, np.uint8).reshape(-1, _BLOCK_BYTES)[:, :IDENTIFIER_BYTES].copy()
    equality[digests == 0] = 0
    return equality


def _filters(
    values: ValueTokens,
    space: int,
    value_of: NDArray[np.int64],
    pads: Sequence[CipherContext],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the filters of one attribute, shape (n_pairs, 32), and the masks of classes.

    Args:
        values: the values that occur.
        space: number of their token space.
        value_of: which of the values each pair has, shape (n_pairs,).
        pads: the keyed function of each pair.
    """
    blocks, starts, first_of = _blocks(
        values.ids, values.offsets, values.turns, values.digest, space
    )
    plain = blocks.astype("<u8", copy=False).tobytes()
    bounds = (_BLOCK_BYTES * starts).tolist()
    of_value = [plain[at:end] for at, end in itertools.pairwise(bounds)]
    stream = b"".join(
        [pad.update(of_value[v]) for pad, v in zip(pads, value_of.tolist(), strict=True)]
    )
    draws = np.frombuffer(stream, dtype=np.uint8).reshape(-1, _BLOCK_BYTES)
    ends = np.cumsum(np.diff(starts)[value_of])
    filters = np.zeros((len(value_of), FILTER_BYTES), dtype=np.uint8)
    _fill(draws, ends, value_of, starts, values.offsets, values.turns, first_of, filters)
    return filters, draws[ends - 1, 0] % np.uint8(N_CLASSES)


@compiled
def _blocks(
    ids: NDArray[np.int32],
    offsets: NDArray[np.int64],
    turns: NDArray[np.uint8],
    digest: NDArray[np.uint64],
    space: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the blocks whose encryption are the draws of each value, and its mask.

    Returns:
        Blocks as two little-endian words, shape (n_blocks, 2); where each value's blocks
        start, its mask the last of them, shape (n + 1,); and for each token the number of
        its first block inside its value.
    """
    n = len(offsets) - 1
    taken = np.zeros(len(ids), dtype=np.int64)
    total = n
    for value in range(n):
        for turn in range(turns.shape[1] if offsets[value + 1] > offsets[value] else 0):
            token = offsets[value] + turns[value, turn]
            if taken[token] % _BLOCK_BYTES == 0:
                total += 1
            taken[token] += 1
    blocks = np.zeros((total, 2), dtype=np.uint64)
    starts = np.zeros(n + 1, dtype=np.int64)
    first_of = np.zeros(len(ids), dtype=np.int64)
    at = 0
    for value in range(n):
        for token in range(offsets[value], offsets[value + 1]):
            first_of[token] = at - starts[value]
            for block in range((taken[token] + _BLOCK_BYTES - 1) // _BLOCK_BYTES):
                blocks[at, 0] = space | block << 16 | np.int64(ids[token]) << 32
                at += 1
        blocks[at, 0] = space | _MASK_BLOCK << 16
        blocks[at, 1] = digest[value]
        at += 1
        starts[value + 1] = at
    return blocks, starts, first_of


@compiled
def _fill(
    draws: NDArray[np.uint8],
    ends: NDArray[np.int64],
    value_of: NDArray[np.int64],
    starts: NDArray[np.int64],
    offsets: NDArray[np.int64],
    turns: NDArray[np.uint8],
    first_of: NDArray[np.int64],
    filters: NDArray[np.uint8],
) -> None:
    """Set `N_SET` positions of every pair's filter, in place; none of a missing value."""
    taken = np.zeros(MAX_TOKENS, dtype=np.int64)
    for pair in range(len(value_of)):
        value = value_of[pair]
        if offsets[value + 1] == offsets[value]:
            continue
        first = ends[pair] - (starts[value + 1] - starts[value])
        taken[: offsets[value + 1] - offsets[value]] = 0
        n_set = 0
        for turn in range(turns.shape[1]):
            token = turns[value, turn]
            block = first + first_of[offsets[value] + token] + taken[token] // _BLOCK_BYTES
            position = draws[block, taken[token] % _BLOCK_BYTES]
            taken[token] += 1
            bit = np.uint8(1 << (position & 7))
            if not filters[pair, position >> 3] & bit:
                filters[pair, position >> 3] |= bit
                n_set += 1
                if n_set == N_SET:
                    break
        # Once in 1e12 filters the turns end too early: then the lowest positions.
        position = 0
        while n_set < N_SET:
            bit = np.uint8(1 << (position & 7))
            if not filters[pair, position >> 3] & bit:
                filters[pair, position >> 3] |= bit
                n_set += 1
            position += 1
