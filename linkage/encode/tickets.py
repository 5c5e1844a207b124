"""Tickets: one-time block tokens that do not tell whose they are, made and read by owners.

The mark of a ticket with token t of entry e is

    N(r) + P(e, t)   at the left party,      N(r) - P(e, t)   at the right one,    mod 2^64

N(r) being a number that the owner has for its record r in this job and with this other
party, and P a keyed function that both owners have and the matcher has not. Since a token
stands once at a party, each mark is masked by a number of its own: tickets of one record
have nothing in common. Where tokens are equal the masks cancel out, and the sum N(r) + N(s)
is the same for all tickets that records r and s share; so the matcher asks about a pair once.
The sums of pairs are as random as the numbers, but for one relation: where two records of
the left all meet two of the right, the four sums show it.

An owner that is asked about a ticket takes the mask off and finds its record by its number.
A ticket that is made up leads to none, but for one chance in 2^64 for each record, so it needs
no memory of what it sent. Whoever knows how far apart the numbers of two records are can turn
the ticket of one into that of the other: an owner answers about a token once. The key of a
pair follows from entry and token (`pairkeys`): both owners of equal tokens have it, and
tickets that did not meet have unlike ones, whatever the matcher asks.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from linkage.encode.oncetokens import Side, encrypted, keyed_order, rotated, within_entries
from linkage.errors import DeniedError
from linkage.schema import LinkageSchema
from linkage.ticket import DRAWN, Tickets, stands_once

_BITS_OF_BYTE = 8


class TicketBook:
    """One owner's tickets of one job and other party.

    Args:
        schema: the linkage schema, of two rounds.
        block_key: returns the 32-byte key of a label.
        meeting: names the job and the two parties; equal at both, never used again.
        parties: names the two parties; equal in all jobs of the two.
        side: `left` for the party that the job names first.
        references: of all own records, 16 random bytes each, in a row.
    """

    def __init__(
        self,
        schema: LinkageSchema,
        block_key: Callable[[str], bytes],
        meeting: str,
        parties: str,
        side: Side,
        references: bytes,
    ) -> None:
        self._schema, self._block_key, self._side = schema, block_key, side
        self._meeting = meeting
        # The same in all jobs of the two parties: drawn anew, other records would meet in
        # every job, and after many jobs all that share a composite would show.
        self._order = keyed_order(references, block_key(f"order\0{parties}"))
        self._numbers = keyed_order(references, block_key(f"numbers\0{meeting}"))
        self._by_number = np.argsort(self._numbers)
        self._sorted = self._numbers[self._by_number]
        self._draws = np.argsort(keyed_order(references, block_key(f"draws\0{meeting}\0{side}")))
        self._mask_key = block_key(f"marks\0{meeting}")

    def __repr__(self) -> str:
        return "TicketBook(...)"

    def tickets(self, values: NDArray[np.uint64], first: int = 0) -> Iterator[Tickets]:
        """Yield the tickets of all records, entry by entry, each by ascending token.

        Args:
            values: hashed parts of all records, shape (n, n_parts), from `BlockValues.of`.
            first: the entry to begin with.
        """
        copies, width = self._schema.match.block_copies, self._schema.match.block_bytes
        entries = within_entries(self._schema, values, self._block_key, self._order, first)
        for number, (entry, (composites, ranks)) in enumerate(
            zip(self._schema.entries[first:], entries, strict=True), first
        ):
            places = rotated(composites, ranks, self._numbers, copies)
            used = np.flatnonzero(ranks < copies)
            blocks = np.zeros((len(used), copies, 2), dtype="<u8")
            blocks[:, :, 0] = composites[used, None]
            own, other = places[used, None], np.arange(copies)[None]
            left, right = (own, other) if self._side == "left" else (other, own)
            blocks[:, :, 1] = (left << _BITS_OF_BYTE | right).astype(np.uint64)
            made = encrypted(blocks, self._block_key(f"{self._meeting}\0{entry}"))
            token = made[:, :, 0].ravel() & np.uint64((1 << _BITS_OF_BYTE * width) - 1)
            order = np.argsort(token)
            # Two that came out equal would share a mask, and could meet nothing.
            order = order[stands_once(token[order])]
            whose = np.repeat(used, copies)[order]
            unmarked = Tickets.of_entry(number, token[order], self._numbers[whose])
            yield self._masked(unmarked, left=self._side == "left")

    def records(self, asked: Tickets) -> NDArray[np.int64]:
        """Return the own record of each ticket, shape (n,).

        Raises:
            DeniedError: a ticket is none of ours.
        """
        drawn = asked.entry == DRAWN
        n = len(self._numbers)
        unmasked = self._masked(asked, left=self._side != "left").mark
        at = np.searchsorted(self._sorted, unmasked).clip(max=max(n - 1, 0))
        if not n or ((self._sorted[at] != unmasked) & ~drawn).any():
            raise DeniedError("FOREIGN_TICKET", "the matcher asks about a ticket that is not ours")
        by_draw = self._draws[(asked.token % np.uint64(n)).astype(np.int64)]
        records: NDArray[np.int64] = np.where(drawn, by_draw, self._by_number[at])
        return records

    def _masked(self, tickets: Tickets, *, left: bool) -> Tickets:
        masks = encrypted(
            np.stack([tickets.token, tickets.entry.astype(np.uint64)], axis=1), self._mask_key
        )[:, 0]
        mark = tickets.mark + masks if left else tickets.mark - masks
        return Tickets(tickets.entry, tickets.token, mark)
