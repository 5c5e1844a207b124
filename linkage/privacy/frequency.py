"""A6: how often tokens occur, held against how often values do.

Keyed tokens of values keep their frequencies: the most frequent token of a register is
its most frequent value, and no key is needed to read it. The attacker has the value
tables of the register itself, the best there could be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_TOP = 10
_FEWEST_VALUES = 2 * N_TOP
HITS_LIMIT = 1


@dataclass(frozen=True)
class Alignment:
    """How well the tokens of one slot line up with one table of values.

    Attributes:
        slot: what the tokens are called.
        table: what the values are called.
        hits: how many of the ten most frequent tokens have, for most of their holders,
            the value of the same rank. Of values that are equally frequent none has a
            rank of its own: n of them count 1/n each. A token that stands once is none.
        most: how often the most frequent token stands.
    """

    slot: str
    table: str
    hits: float
    most: int

    @property
    def exceeded(self) -> bool:
        """Whether more tokens are read than chance explains."""
        return self.hits > HITS_LIMIT


def best_alignments(
    tokens: Mapping[str, NDArray[np.uint64]], values: Mapping[str, NDArray[np.uint64]]
) -> list[Alignment]:
    """Return for each slot the table that its tokens line up with best, worst slot first.

    Args:
        tokens: by slot, tokens of all records, shape (n, copies); 0 for none.
        values: by table, the value of each record as a number, shape (n,); 0 for none.
            Tables of less than twenty values are left out: sex and the like.
    """
    tables = {}
    for name, column in values.items():
        distinct, counts = np.unique(column[column != 0], return_counts=True)
        if len(distinct) >= _FEWEST_VALUES:
            top = np.argsort(-counts, kind="stable")[:N_TOP]
            tables[name] = [(distinct[i], 1 / float((counts == counts[i]).sum())) for i in top]
    found = []
    for slot, column in tokens.items():
        flat = column.reshape(-1)
        holders = np.repeat(np.arange(len(column)), column.size // max(len(column), 1))
        there = flat != 0
        distinct, which, counts = np.unique(flat[there], return_inverse=True, return_counts=True)
        top = np.argsort(-counts, kind="stable")[:N_TOP]
        held = [holders[there][which == token] for token in top if counts[token] > 1]
        best = Alignment(slot, "-", 0.0, int(counts.max(initial=0)))
        for table, ranked in tables.items():
            hits = sum(
                counts_as
                for records, (value, counts_as) in zip(held, ranked, strict=False)
                if _usual(values[table][records]) == value
            )
            if hits > best.hits:
                best = Alignment(slot, table, hits, best.most)
        found.append(best)
    return sorted(found, key=lambda alignment: -alignment.hits)


def _usual(values: NDArray[np.uint64]) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()])
