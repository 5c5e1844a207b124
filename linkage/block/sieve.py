"""Looks at more and more of two hardened codes, with a computed loss.

Hardened codes of strangers agree in half of their bits, and a person's two codes in only
a little more: whether a pair is alike shows after nearly all bits. Whether it is *not*
alike shows much earlier, for most. So a code is looked at line by line (512 bits, what
memory gives at once), and left out after a line by which it differs in more bits than a
pair at the threshold would by bad luck. That loses some pairs: how many is computed here,
for a pair that is exactly at the threshold. Pairs above lose less.

The bits of a hardened code come from keyed draws that are alike in every position. So of
codes of L bits that differ in d, all places of the d are equally likely, and the numbers
of differing bits x_1, x_2 ... of the lines have the probability

    C(l_1, x_1) C(l_2, x_2) ... / C(L, d)        where x_1 + x_2 + ... = d

Sums over all ways to pass every cut are convolutions of the C(l, x), cut off at each
line; divided by 2^L the same sums are the shares of strangers that are still in. Not for
plain filters: their positions are not alike.

Source: Wald 1945, Ann Math Stat 16:117 (sequential tests); the sums are exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINE_BITS = 512
NO_CUT = 1 << 40
# What a line costs that is read because its record is still in, in lines read in a row.
_ALONE = 5.0
_STEPS = 12


@dataclass(frozen=True)
class Sieve:
    """Cuts after the lines of a code.

    Attributes:
        cuts: most bits in which a pair that stays in may differ up to each line,
            `NO_CUT` where it is not judged; the last is the threshold itself.
        loss: probability that a pair exactly at the threshold is left out before the
            last line; less above it.
        strangers: share of unlike pairs that are in after each line.
    """

    cuts: tuple[int, ...]
    loss: float
    strangers: tuple[float, ...]

    @property
    def cost(self) -> float:
        """Lines read for each record, those read alone weighed by what they cost."""
        first = next(i for i, cut in enumerate(self.cuts) if cut != NO_CUT) + 1
        return first + _ALONE * sum(self.strangers[first - 1 : -1])


def sieve_of(n_bits: int, threshold: float, loss: float) -> Sieve:
    """Return the cheapest sieve with at most a given loss.

    Args:
        n_bits: length of a code.
        threshold: lowest agreement of a pair.
        loss: highest probability that a pair exactly at the threshold is left out; 0 for
            a sieve that leaves out none, and reads all.

    Raises:
        ValueError: no probability below 1.
    """
    if not 0 <= loss < 1:
        raise ValueError(f"loss {loss}: a probability below 1")
    lines = _lines_of(n_bits)
    most = _most_differing(n_bits, threshold)
    whole = _judged(lines, most, [NO_CUT] * (len(lines) - 1))
    if loss == 0 or most == 0:
        return whole
    sieves = [_fitted(lines, most, loss, first) for first in range(len(lines) - 1)]
    return min([whole, *sieves], key=lambda sieve: sieve.cost)


def loss_at(sieve: Sieve, n_bits: int, agreement: float) -> float:
    """Return the probability that a pair of exactly this agreement is left out early."""
    most = _most_differing(n_bits, agreement)
    return _judged(_lines_of(n_bits), most, list(sieve.cuts[:-1])).loss


def stranger_floor(n_bits: int, n_records: int, chance: float) -> float:
    """Return the agreement that hardly any stranger among so many records reaches.

    Args:
        n_bits: length of a code.
        n_records: records that one code is compared with.
        chance: highest expected number of strangers at or above the agreement.
    """
    of_one = np.cumsum(_of_line(n_bits))
    differing = int(np.searchsorted(of_one * max(n_records, 1), chance, side="right")) - 1
    return 1 - max(differing, 0) / n_bits


def _lines_of(n_bits: int) -> list[int]:
    whole, rest = divmod(n_bits, LINE_BITS)
    return [LINE_BITS] * whole + ([rest] if rest else [])


def _most_differing(n_bits: int, threshold: float) -> int:
    """Return the most bits in which a pair at the threshold differs, as scores round."""
    differing = np.arange(n_bits + 1)
    passing = np.flatnonzero((1 - differing / n_bits).astype(np.float32) >= np.float32(threshold))
    return int(passing[-1]) if len(passing) else 0


def _fitted(lines: list[int], most: int, loss: float, first: int) -> Sieve:
    """Return the sieve that judges from line `first` on and uses its loss up.

    Every later cut loses a smaller part, in a row that falls alike for codes of any
    length: what an early cut saves, it saves for all later lines.
    """
    n_cuts = len(lines) - 1 - first
    parts = 0.5 ** (np.arange(n_cuts) * 8 / len(lines))
    tails = [_tail(lines, most, number) for number in range(first, len(lines) - 1)]
    low, high, best = 0.0, 4.0, _judged(lines, most, [NO_CUT] * (len(lines) - 1))
    for _ in range(_STEPS):
        scale = (low + high) / 2
        shares = scale * loss * parts / parts.sum()
        cuts = [
            int(np.flatnonzero(tail <= share)[0]) for tail, share in zip(tails, shares, strict=True)
        ]
        sieve = _judged(lines, most, [NO_CUT] * first + cuts)
        if sieve.loss <= loss:
            low, best = scale, sieve
        else:
            high = scale
    return best


def _tail(lines: list[int], most: int, number: int) -> NDArray[np.float64]:
    """Return how probable more than x differing bits up to a line are, for each x."""
    looked, left = sum(lines[: number + 1]), sum(lines[number + 1 :])
    x = np.arange(max(most - left, 0), min(most, looked) + 1)
    logs = _log_choose(looked, x) + _log_choose(left, most - x)
    likely = np.zeros(min(most, looked) + 1)
    likely[x] = np.exp(logs - _log_choose(looked + left, np.array([most]))[0])
    return np.append(np.cumsum(likely[:0:-1])[::-1], 0.0)


def _judged(lines: list[int], most: int, cuts: list[int]) -> Sieve:
    """Return the sieve of given cuts before the last line, with what it loses and lets in."""
    ways = np.ones(1)
    strangers = []
    for length, cut in zip(lines, [*cuts, most], strict=True):
        ways = np.convolve(ways, _of_line(length))[: min(cut, most) + 1 if cut != NO_CUT else None]
        strangers.append(float(min(ways.sum(), 1.0)))
    n_bits = sum(lines)
    all_ways = np.exp(_log_choose(n_bits, np.array([most]))[0] - n_bits * np.log(2))
    kept = float(ways[most] / all_ways)
    # The two sums differ in the last digits where nothing is lost.
    loss = 0.0 if all(cut == NO_CUT for cut in cuts) else max(1.0 - kept, 0.0)
    return Sieve((*cuts, most), loss, tuple(strangers))


def _of_line(length: int) -> NDArray[np.float64]:
    """Return the share of all lines that differ in x bits from a given one, for each x."""
    shares: NDArray[np.float64] = np.exp(
        _log_choose(length, np.arange(length + 1)) - length * np.log(2)
    )
    return shares


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    result: NDArray[np.float64] = logs[n] - logs[k] - logs[n - k]
    return result
