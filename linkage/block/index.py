"""A standing register in memory: which of its records a few codes are like.

Candidates are the records that share an exact token, found by search, and those whose
codes are alike, found by a scan over all codes (a standing register has no block tokens:
those never repeat). Every candidate is scored exactly, as everywhere: bit agreement for
hardened codes, Dice for plain filters. The scan reads whole codes only of what is left
after the first lines. Of plain filters it leaves out only what cannot reach the floor;
of hardened codes it does so where no `Sieve` is given, and with its loss where one is.

What limits a scan is memory: a line of a million records is 64 MB.

An index never changes. An update makes a new one that shares the codes of the old one: it
adds a segment, and marks what was replaced or removed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linkage.block.exact import raised
from linkage.block.scan import BLOCK, LINE_WORDS, scan
from linkage.block.sieve import NO_CUT, Sieve

# Records that share one token: more are no evidence of anybody, and cost time.
MOST_SHARING = 1_024
# A segment, and a range of its records; what a scan of it brings.
Piece = tuple[int, int, int]
Hits = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


class Records:
    """Records that come into a register, in the form in which they are scanned.

    They are put in part by part, so that a large register is in memory once.

    Args:
        n: number of records.
        n_words: words of a code.
        exact_slots: exact tokens of each.
    """

    def __init__(self, n: int, n_words: int, exact_slots: int) -> None:
        self.n_words = n_words
        self.references = np.zeros(n, dtype="V16")
        self.lines = np.zeros((-(-n_words // LINE_WORDS), n, LINE_WORDS), dtype=np.uint64)
        self.exact = np.zeros((n, exact_slots, 16), dtype=np.uint8)
        self._filled = 0

    @classmethod
    def of(
        cls, references: NDArray[np.void], words: NDArray[np.uint64], exact: NDArray[np.uint8]
    ) -> "Records":
        """Return records that are all there. See `add`."""
        records = cls(len(references), words.shape[1], exact.shape[1])
        records.add(references, words, exact)
        return records

    def add(
        self, references: NDArray[np.void], words: NDArray[np.uint64], exact: NDArray[np.uint8]
    ) -> None:
        """Put the next records in.

        Args:
            references: 16 bytes each, shape (n,), dtype V16; each record once in all.
            words: their codes, shape (n, n_words).
            exact: their exact tokens, shape (n, exact_slots, 16).
        """
        rows = slice(self._filled, self._filled + len(references))
        self.references[rows] = references
        self.exact[rows] = exact
        _into_lines(words, self.lines[:, rows])
        self._filled = rows.stop


@dataclass(frozen=True)
class Found:
    """The best candidates of one code, best first; ties by reference.

    Attributes:
        references: 16 bytes each, shape (n,), dtype V16.
        similarity: of the codes alone, shape (n,).
        shared: whether an exact token is shared.
    """

    references: NDArray[np.void]
    similarity: NDArray[np.float32]
    shared: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.references)


@dataclass(frozen=True)
class _Segment:
    """Records that came together."""

    references: NDArray[np.void]
    lines: NDArray[np.uint64]
    bits: NDArray[np.int32]
    exact: list[tuple[NDArray[np.void], NDArray[np.int64]]] = field(repr=False)

    @cached_property
    def most_bits(self) -> int:
        return int(self.bits.max(initial=0))

    @cached_property
    def by_reference(self) -> tuple[NDArray[np.void], NDArray[np.int64]]:
        return _ordered(self.references)

    def differing(self, rows: NDArray[np.int64], query: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return in how many bits some codes differ from one."""
        unlike = np.bitwise_count(self.lines[:, rows] ^ query[:, None])
        counts: NDArray[np.int64] = unlike.sum(axis=(0, 2), dtype=np.int64)
        return counts


class Index:
    """The records of one register.

    Args:
        n_bits: length of a code.
        agreement: whether codes are compared by agreement (hardened), or by Dice.
    """

    def __init__(self, n_bits: int, agreement: bool) -> None:
        self.n_bits, self.agreement = n_bits, agreement
        self._segments: tuple[_Segment, ...] = ()
        self._alive: tuple[NDArray[np.bool_], ...] = ()

    def __len__(self) -> int:
        """Return the number of records."""
        return sum(int(alive.sum()) for alive in self._alive)

    def updated(self, records: Records, removed: NDArray[np.void] | None = None) -> "Index":
        """Return the index with some records more, in place of older ones of their references.

        Args:
            records: what comes in.
            removed: references of records that leave; those not there are harmless.

        Raises:
            ValueError: codes are of another length.
        """
        if 64 * records.n_words != self.n_bits:
            raise ValueError(f"codes of {64 * records.n_words} bits, not {self.n_bits}")
        gone = records.references
        if removed is not None:
            gone = np.concatenate([gone, removed.astype("V16")])
        made = Index(self.n_bits, self.agreement)
        made._segments = (*self._segments, _segment_of(records))
        made._alive = (
            *(self._left(number, gone) for number in range(len(self._segments))),
            _last_of_each(made._segments[-1]),
        )
        return made

    def best(
        self,
        words: NDArray[np.uint64],
        exact: NDArray[np.uint8],
        k: int,
        floor: float,
        sieve: Sieve | None = None,
        spread: Callable[[Callable[[Piece], Hits], Iterable[Piece]], Iterable[Hits]] = map,
        parts: int = 1,
    ) -> list[Found]:
        """Return the best k candidates of each of a few codes, in one scan for all.

        A candidate shares an exact token, or its code reaches the floor; an equal token
        raises its rank as in `raised`.

        Args:
            words: codes, shape (n_queries, n_words).
            exact: their exact tokens, shape (n_queries, exact_slots, 16).
            k: most candidates of each.
            floor: lowest similarity of a candidate that shares no token, above 0.
            sieve: what is left out early; None for exactly all. For agreement only.
            spread: applies a function to pieces of the register: `map`, or that of a pool
                of threads.
            parts: into how many pieces the register is cut.

        Raises:
            ValueError: a sieve for Dice, or one for another length.
        """
        queries = np.zeros((len(words), -(-words.shape[1] // LINE_WORDS), LINE_WORDS), np.uint64)
        _into_lines(words, queries.transpose(1, 0, 2))
        if sieve is not None and not (self.agreement and len(sieve.cuts) == queries.shape[1]):
            raise ValueError("a sieve is for hardened codes of its own length")
        bits = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
        cuts = [self._cuts(segment, bits, floor, sieve) for segment in self._segments]

        def find(piece: Piece) -> Hits:
            number, start, end = piece
            return _hits(self._segments[number].lines, queries, cuts[number], start, end)

        pieces = self._pieces(parts)
        hits = list(zip(pieces, spread(find, pieces), strict=True))
        return [
            self._ranked(
                [
                    (piece[0], rows[of == query].astype(np.int64))
                    for piece, (of, rows, _) in hits
                    if len(of)
                ],
                queries[query],
                int(bits[query]),
                exact[query],
                k,
                floor,
            )
            for query in range(len(words))
        ]

    def _ranked(
        self,
        alike: list[tuple[int, NDArray[np.int64]]],
        query: NDArray[np.uint64],
        bits: int,
        exact: NDArray[np.uint8],
        k: int,
        floor: float,
    ) -> Found:
        references, scores, shares = [np.zeros(0, "V16")], [np.zeros(0, "f4")], [np.zeros(0, "?")]
        for number, segment in enumerate(self._segments):
            sharing = _sharing(segment, exact)
            rows = np.unique(np.concatenate([sharing, *(r for n, r in alike if n == number)]))
            rows = rows[self._alive[number][rows]]
            if not len(rows):
                continue
            similarity = self._similarity(segment, rows, query, bits)
            shared = np.isin(rows, sharing)
            kept = shared | (similarity >= np.float32(floor))
            references.append(segment.references[rows[kept]])
            scores.append(similarity[kept])
            shares.append(shared[kept])
        found, score, shared = map(np.concatenate, (references, scores, shares))
        rank = np.where(shared, raised(score), score)
        order = np.lexsort((np.argsort(np.argsort(found)), -rank))[:k]
        return Found(found[order], score[order], shared[order])

    def _similarity(
        self, segment: _Segment, rows: NDArray[np.int64], query: NDArray[np.uint64], bits: int
    ) -> NDArray[np.float32]:
        # The arithmetic of `compare.kernels.similarity_of`, so that scores are the same.
        total = segment.bits[rows].astype(np.int64) + bits
        common = (total - segment.differing(rows, query)) // 2
        if self.agreement:
            similarity = 1.0 - (total - 2 * common) / self.n_bits
            similarity[(segment.bits[rows] == 0) | (bits == 0)] = 0.0
        else:
            similarity = 2.0 * common / np.maximum(total, 1)
        return similarity.astype(np.float32)

    def _cuts(
        self, segment: _Segment, bits: NDArray[np.int64], floor: float, sieve: Sieve | None
    ) -> NDArray[np.int64]:
        """Return the cuts of every query, shape (n_queries, n_lines)."""
        n_lines = segment.lines.shape[0]
        cuts = np.full((len(bits), n_lines), NO_CUT, dtype=np.int64)
        # One bit more than the floor allows: rounding is judged by the exact score.
        if not self.agreement:
            most = np.floor((1 - floor) * (bits + segment.most_bits)).astype(np.int64) + 1
            cuts[:] = most[:, None]
        else:
            cuts[:, -1] = int((1 - floor) * self.n_bits) + 1
            if sieve is not None:
                cuts[:, :-1] = sieve.cuts[:-1]
        return cuts

    def _pieces(self, parts: int) -> list[Piece]:
        """Cut the register into about so many pieces of whole blocks."""
        total = sum(len(segment.references) for segment in self._segments)
        step = BLOCK * max(-(-total // (parts * BLOCK)), 1)
        return [
            (number, start, min(start + step, len(segment.references)))
            for number, segment in enumerate(self._segments)
            for start in range(0, len(segment.references), step)
        ]

    def _left(self, number: int, gone: NDArray[np.void]) -> NDArray[np.bool_]:
        """Return which records of a segment are in once some references are gone."""
        ordered, rows = self._segments[number].by_reference
        alive = self._alive[number].copy()
        if len(ordered):
            at = np.searchsorted(ordered, gone).clip(max=len(ordered) - 1)
            alive[rows[at[ordered[at] == gone]]] = False
        return alive


def _into_lines(words: NDArray[np.uint64], lines: NDArray[np.uint64]) -> None:
    """Put codes into lines, shape (n_lines, n, 8); what a last line has more stays as it is."""
    for number, line in enumerate(lines):
        part = words[:, LINE_WORDS * number : LINE_WORDS * (number + 1)]
        line[:, : part.shape[1]] = part


def _segment_of(records: Records) -> _Segment:
    bits = np.zeros(len(records.references), dtype=np.int32)
    for line in records.lines:
        bits += np.bitwise_count(line).sum(axis=1, dtype=np.int32)
    exact = [
        _ordered(np.ascontiguousarray(records.exact[:, slot]).view("V16").ravel())
        for slot in range(records.exact.shape[1])
    ]
    return _Segment(records.references, records.lines, bits, exact)


def _last_of_each(segment: _Segment) -> NDArray[np.bool_]:
    """Return which records are not replaced by a later one of the same segment."""
    ordered, rows = segment.by_reference
    alive = np.ones(len(rows), dtype=np.bool_)
    alive[rows[:-1][ordered[1:] == ordered[:-1]]] = False
    return alive


def _ordered(values: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.int64]]:
    order = np.argsort(values, kind="stable")
    return values[order], order


def _sharing(segment: _Segment, exact: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the records that share an exact token in the same slot, each once."""
    rows = [np.zeros(0, dtype=np.int64)]
    for (ordered, order), token in zip(segment.exact, exact, strict=True):
        wanted = np.ascontiguousarray(token).view("V16")
        first, last = (int(np.searchsorted(ordered, wanted, s)[0]) for s in ("left", "right"))
        if last - first <= MOST_SHARING:
            rows.append(order[first:last])
    return np.unique(np.concatenate(rows))


def _hits(
    lines: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    cuts: NDArray[np.int64],
    start: int,
    end: int,
) -> Hits:
    """Return queries, records and differing bits of what passes all cuts of a range."""
    room = 2 * BLOCK * len(queries)
    parts: list[Hits] = []
    while start < end:
        out = (np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32))
        n, start = scan(lines, queries, cuts, start, end, *out)
        parts.append((out[0][:n], out[1][:n], out[2][:n]))
    of, rows, differing = (
        np.concatenate([part[i] for part in parts] or [np.zeros(0, np.int32)]) for i in range(3)
    )
    return of, rows, differing
