"""What the owners are asked in the second round: tickets of pairs that met, draws, decoys.

The matcher does not know which tickets are of one record, so it cannot ask equally often
about each. It asks each owner about so many tickets for each record on average, whoever
met; the decoys among them are drawn from all tickets of that owner alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.block.met import MetPairs
from linkage.job import DRAWN_PER_RECORD, Refinement
from linkage.ticket import Tickets, concatenate

# Enough random pairs to count how often strangers agree on rare values.
MOST_DRAWN = 50_000


@dataclass(frozen=True)
class Questions:
    """What two owners are asked, in one random order.

    Attributes:
        left: the left owner's tickets; anything where it is not asked.
        right: the right owner's tickets.
        asks_left: whether the left owner is asked, shape (n,).
        asks_right: whether the right owner is.
        drawn: whether the pair was drawn at random, shape (n,).
        count: how many tickets a pair shares, 0 for draws and decoys, shape (n,).
    """

    left: Tickets
    right: Tickets
    asks_left: NDArray[np.bool_]
    asks_right: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    count: NDArray[np.int16]

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.drawn)

    @property
    def pairs(self) -> NDArray[np.bool_]:
        """Whether both owners are asked, shape (n,)."""
        return self.asks_left & self.asks_right


@dataclass(frozen=True)
class Selection:
    """Questions, and how many pairs that met are not among them.

    Attributes:
        questions: what is asked.
        cut: pairs that met and are left out, those with the fewest common tickets.
    """

    questions: Questions
    cut: int


def most_drawn(n_left: int, n_right: int) -> int:
    """Return how many pairs of two parties are drawn at random."""
    return min(DRAWN_PER_RECORD * min(n_left, n_right), MOST_DRAWN)


def select_questions(
    met: MetPairs,
    sizes: tuple[int, int],
    pools: "tuple[Tickets, Tickets] | None",
    refinement: Refinement,
    rng: np.random.Generator,
) -> Selection:
    """Return what two owners are asked.

    Args:
        met: the pairs that met, in no order.
        sizes: number of records of both parties.
        pools: some tickets of both, drawn alike from all that they sent; None for no decoys.
        refinement: how much is asked for each record on average.
        rng: source of the order. An owner that could foresee it would know the decoys.
    """
    room = refinement.candidates * max(min(sizes), 1)
    # Stable: which of equally often met pairs stay is left to the order in which they come.
    kept = np.argsort(-met.count, kind="stable")[:room]
    asked, n_drawn = met.at(kept), most_drawn(*sizes)
    draws = Tickets.drawn(n_drawn)
    lefts, rights = [asked.left, draws], [asked.right, draws]
    n_pairs = len(asked) + n_drawn
    n_decoys = [0, 0]
    for side, own in enumerate((asked.left, asked.right)):
        if pools is not None:
            unasked = np.flatnonzero(~np.isin(pools[side].mark, own.mark))
            wanted = max(refinement.candidates * sizes[side] - len(own), 0)
            decoys = pools[side].at(rng.permutation(unasked)[:wanted])
            n_decoys[side] = len(decoys)
            (lefts, rights)[side].append(decoys)
            (rights, lefts)[side].append(decoys)
    n = n_pairs + sum(n_decoys)
    number = np.arange(n)
    order = rng.permutation(n)
    of_left = (number < n_pairs + n_decoys[0])[order]
    of_right = ((number < n_pairs) | (number >= n_pairs + n_decoys[0]))[order]
    questions = Questions(
        concatenate(lefts).at(order),
        concatenate(rights).at(order),
        of_left,
        of_right,
        ((number >= len(asked)) & (number < n_pairs))[order],
        np.concatenate([asked.count, np.zeros(n - len(asked), np.int16)])[order],
    )
    return Selection(questions, len(met) - len(asked))


def sampled(
    entries: Iterable[Tickets], n_tickets: int, n: int, rng: np.random.Generator
) -> Tickets:
    """Return about `n` tickets drawn alike from all of a party.

    Args:
        entries: all its tickets, entry by entry.
        n_tickets: how many these are.
        n: how many are wanted; all where there are fewer.
        rng: draws them.
    """
    share = min(n / max(n_tickets, 1), 1.0)
    parts = []
    for of_entry in entries:
        chosen = rng.choice(
            len(of_entry), rng.binomial(len(of_entry), share), replace=False, shuffle=False
        )
        parts.append(of_entry.at(chosen))
    return concatenate(parts)
