"""The block tokens of a job, for each of its other parties, and the keys of its names."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from keys.derive import LinkageKey
from linkage.encode.encoder import EncodingKeys
from linkage.encode.names import NameKeys
from linkage.encode.oncetokens import Side, keyed_order, once_tokens, within_entries
from linkage.encode.tickets import TicketBook
from linkage.schema import LinkageSchema
from linkage.ticket import Tickets

# Inside a party nothing is sent, so more records of a composite may meet.
_COPIES_WITHIN = 2
# Which job and parties meet, and which side one is on.
Meeting = tuple[str, Side]


def meetings(job_id: str, party: str, parties: Sequence[str]) -> list[Meeting]:
    """Return a party's meetings with the others of a job, in their order."""
    own = parties.index(party)
    found: list[Meeting] = []
    for number, other in enumerate(parties):
        if number != own:
            left, right = (party, other) if own < number else (other, party)
            side: Side = "left" if own < number else "right"
            found.append((f"{job_id}\0{left}\0{right}", side))
    return found


def book_of(
    schema: LinkageSchema, keys: EncodingKeys, meeting: Meeting, references: bytes
) -> TicketBook:
    """Return an owner's tickets of one meeting, which occurs once in the life of the key.

    Args:
        schema: the linkage schema, of two rounds.
        keys: keys derived from the linkage key.
        meeting: from `meetings`.
        references: of all records, 16 bytes each, in a row.
    """
    name, side = meeting
    # The two parties, whose names follow the job's.
    parties = name.partition("\0")[2]
    return TicketBook(schema, keys.block_key, name, parties, side, references)


def name_keys(key: LinkageKey, meeting: Meeting) -> NameKeys:
    """Return what two parties name records by in a meeting.

    Args:
        key: the linkage key.
        meeting: from `meetings`.
    """
    job_id, left, right = meeting[0].split("\0")
    return NameKeys(partial(key.name_key, job_id, left, right))


def block_tokens(
    schema: LinkageSchema,
    keys: EncodingKeys,
    values: NDArray[np.uint64],
    with_whom: Sequence[Meeting],
    references: bytes | None = None,
    first: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the tokens of all records, meeting by meeting and entry by entry.

    Args:
        schema: the linkage schema.
        keys: keys derived from the linkage key.
        values: hashed parts of all records, shape (n, n_parts).
        with_whom: the meetings; each occurs once in the life of the key.
        references: of all records, 16 bytes each, in a row; records are numbered by
            them, and at random where they are absent.
        first: how many entries, of all meetings in a row, are left out.

    Yields:
        Tokens, shape (n, copies, token_bytes).
    """
    for (meeting, side), begin in _from_entry(schema, with_whom, first):
        # The same in all jobs of the two parties, whose names follow the job's.
        key = keys.block_key(f"order\0{meeting.partition(chr(0))[2]}")
        order = keyed_order(references or os.urandom(16 * len(values)), key)
        yield from once_tokens(
            schema, values, keys.block_key, meeting, side, order, os.urandom, begin
        )


def all_tickets(
    schema: LinkageSchema,
    keys: EncodingKeys,
    values: NDArray[np.uint64],
    with_whom: Sequence[Meeting],
    references: bytes,
    first: int = 0,
) -> Iterator[Tickets]:
    """Yield the tickets of all records, meeting by meeting and entry by entry.

    Args:
        schema: the linkage schema, of two rounds.
        keys: keys derived from the linkage key.
        values: hashed parts of all records, shape (n, n_parts).
        with_whom: the meetings; each occurs once in the life of the key.
        references: of all records, 16 bytes each, in a row.
        first: how many entries, of all meetings in a row, are left out.
    """
    for meeting, begin in _from_entry(schema, with_whom, first):
        yield from book_of(schema, keys, meeting, references).tickets(values, begin)


def _from_entry(
    schema: LinkageSchema, with_whom: Sequence[Meeting], first: int
) -> Iterator[tuple[Meeting, int]]:
    """Yield the meetings that have an entry beyond the first ones, and which of theirs it is."""
    n_entries = len(schema.entries)
    for number, meeting in enumerate(with_whom):
        begin = max(first - number * n_entries, 0)
        if begin < n_entries:
            yield meeting, begin


def within_pairs(
    schema: LinkageSchema, keys: EncodingKeys, values: NDArray[np.uint64]
) -> Iterator[NDArray[np.uint64]]:
    """Yield the pairs of one party's own records that each entry brings together.

    For de-duplication inside an agency, which needs no tokens: as many records of a
    composite meet as those of two parties would.

    Yields:
        Distinct pairs as left << 32 | right, left < right.
    """
    order = np.frombuffer(os.urandom(8 * len(values)), dtype="<u8")
    copies = _COPIES_WITHIN * schema.match.block_copies
    for composites, numbers in within_entries(schema, values, keys.block_key, order):
        met = np.flatnonzero(numbers <= copies)
        met = met[np.lexsort((numbers[met], composites[met]))]
        found = [np.zeros(0, np.uint64)]
        for step in range(1, copies + 1):
            one, other = met[:-step], met[step:]
            same = composites[one] == composites[other]
            low, high = np.minimum(one, other)[same], np.maximum(one, other)[same]
            found.append(low.astype(np.uint64) << np.uint64(32) | high.astype(np.uint64))
        yield np.unique(np.concatenate(found))
