"""Tickets: all that a matcher gets of the records in a job of two rounds. Their layout.

A ticket is a block token that stands once at its party, and a mark. Tickets are uploaded
entry by entry, in the order of their tokens, and nothing says whose they are: to the
matcher each is a random number beside another. Where two parties' tokens are equal, the sum
of both marks names the pair of records: equal for all tickets of one pair, and random
otherwise. Owners make tickets and read them (`encode.tickets`), the matcher lets them meet
(`block.met`): neither imports the other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.errors import MalformedMessageError

MARK_BYTES = 8
_WORD_BYTES = 8
# Stands for an entry where the matcher asks about pairs drawn at random: the token is then
# the number of the draw, and there is no mark.
DRAWN = 255


def ticket_bytes(token_bytes: int) -> int:
    """Return the length of an uploaded ticket."""
    return token_bytes + MARK_BYTES


@dataclass(frozen=True)
class Tickets:
    """Some tickets of one party, in parallel arrays.

    Attributes:
        entry: block entry of each, or `DRAWN`, shape (n,).
        token: tokens as little-endian numbers, shape (n,).
        mark: shape (n,).
    """

    entry: NDArray[np.uint8]
    token: NDArray[np.uint64]
    mark: NDArray[np.uint64]

    def __len__(self) -> int:
        """Return the number of tickets."""
        return len(self.token)

    def at(self, chosen: "NDArray[np.int64] | NDArray[np.bool_] | slice") -> "Tickets":
        """Return some of the tickets."""
        return Tickets(self.entry[chosen], self.token[chosen], self.mark[chosen])

    @classmethod
    def of_entry(cls, entry: int, token: NDArray[np.uint64], mark: NDArray[np.uint64]) -> "Tickets":
        """Return tickets of one entry."""
        return cls(np.full(len(token), entry, np.uint8), token, mark)

    @classmethod
    def drawn(cls, n: int) -> "Tickets":
        """Return what stands for the first `n` pairs that are drawn at random."""
        return cls.of_entry(DRAWN, np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64))

    @classmethod
    def none(cls) -> "Tickets":
        """Return no tickets."""
        return cls.drawn(0)

    def packed(self, token_bytes: int) -> bytes:
        """Return entry, token and mark of each, as they are asked about."""
        rows = np.empty((len(self), 1 + ticket_bytes(token_bytes)), dtype=np.uint8)
        rows[:, 0] = self.entry
        rows[:, 1:] = rows_of(self.token, self.mark, token_bytes)
        return rows.tobytes()

    @classmethod
    def unpacked(cls, content: bytes, token_bytes: int) -> "Tickets":
        """Return what `packed` wrote.

        Raises:
            MalformedMessageError: it is not a whole number of tickets.
        """
        width = 1 + ticket_bytes(token_bytes)
        if len(content) % width:
            raise MalformedMessageError("a question that is not a whole number of tickets")
        rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, width)
        return cls(rows[:, 0].copy(), *read_rows(rows[:, 1:], token_bytes))


def concatenate(parts: "list[Tickets]") -> Tickets:
    """Return all tickets in a row."""
    whole = [Tickets.none(), *parts]
    return Tickets(
        np.concatenate([part.entry for part in whole]),
        np.concatenate([part.token for part in whole]),
        np.concatenate([part.mark for part in whole]),
    )


def stands_once(token: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which of some tokens in ascending order are equal to no other, shape (n,)."""
    n = len(token)
    new = np.concatenate(([True], token[1:] != token[:-1], [True]))
    return (new[:-1] & new[1:])[:n]


def rows_of(
    token: NDArray[np.uint64], mark: NDArray[np.uint64], token_bytes: int
) -> NDArray[np.uint8]:
    """Return uploaded tickets, shape (n, token_bytes + 8)."""
    rows = np.empty((len(token), ticket_bytes(token_bytes)), dtype=np.uint8)
    words = np.stack([token, mark], axis=1).astype("<u8", copy=False).view(np.uint8)
    rows[:, :token_bytes] = words[:, :token_bytes]
    rows[:, token_bytes:] = words[:, _WORD_BYTES:]
    return rows


def read_rows(
    rows: NDArray[np.uint8], token_bytes: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return tokens and marks of uploaded tickets, shape (n,) each."""
    words = np.zeros((len(rows), 2 * _WORD_BYTES), dtype=np.uint8)
    words[:, :token_bytes] = rows[:, :token_bytes]
    words[:, _WORD_BYTES:] = rows[:, token_bytes:]
    pairs = words.view("<u8").astype(np.uint64, copy=False)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
