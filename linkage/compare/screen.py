"""A first look at part of two hardened codes, with a stated loss.

Hardened codes of strangers agree in half of their bits, and the threshold lies close
above: .535 of 8,192 bits, say. Nothing certain is known of such a pair before nearly
all bits are counted. But the bits of a hardened code come from keyed draws that are
alike in every position, so of two codes that differ in d of L bits, how many of the
first B differ is hypergeometric. A cut there that a pair exactly at the threshold
passes with probability 1 - loss or more lets pairs above it pass even more surely, and
leaves out most strangers. The loss is an upper bound per true pair; it is stated, never
silent: without a screen, comparing is exact.

Not for plain filters: their positions are not alike, and their exact screen is good.

Source: the tail of the hypergeometric distribution, summed exactly.
"""

from dataclasses import dataclass
from math import exp, lgamma

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 64
# What a word costs in the second look, in words of the first: where pairs are listed,
# and where all are compared, which the first look does for 128 pairs at a time.
LISTED = 1.0
ALL_PAIRS = 12.0


@dataclass(frozen=True)
class Screen:
    """A test of the leading words of two codes.

    Attributes:
        words: how many 64-bit words it looks at.
        differing: most bits in which a pair that passes may differ there.
        loss: probability that a pair exactly at the threshold fails; less above it.
        strangers: share of unlike pairs that pass all the same, their bits agreeing by
            chance in half the cases.
    """

    words: int
    differing: int
    loss: float
    strangers: float


def screen_of(
    n_bits: int, threshold: float, loss: float, words: int = 0, second_look: float = LISTED
) -> Screen | None:
    """Return the screen with at most a given loss, or None if there is none worth it.

    Args:
        n_bits: length of a code.
        threshold: lowest agreement of a pair.
        loss: highest probability that a pair exactly at the threshold is left out;
            0 for none at all, which gives no screen.
        words: how many words to look at; 0 for as many as cost least, counting the
            words of all pairs and those of the strangers that pass.
        second_look: what a word of those costs, `LISTED` or `ALL_PAIRS`.

    Raises:
        ValueError: no probability below 1, or more words than a code has.
    """
    if not 0 <= loss < 1:
        raise ValueError(f"loss {loss}: a probability below 1")
    n_words = n_bits // WORD_BITS
    if not 0 <= words < n_words:
        raise ValueError(f"{words} words to look at: a code has {n_words}")
    if loss == 0:
        return None
    most = _most_differing(n_bits, threshold)
    sizes = [words] if words else range(max(n_words // 16, 1), n_words, max(n_words // 32, 1))
    screens = [_cut(n_bits, most, loss, size) for size in sizes]

    def cost(screen: Screen) -> float:
        return screen.words + screen.strangers * n_words * second_look

    best = min(screens, key=cost, default=None)
    return best if words or (best is not None and cost(best) < n_words) else None


def _most_differing(n_bits: int, threshold: float) -> int:
    """Return the most bits in which a pair at the threshold differs, as the kernels round."""
    differing = np.arange(n_bits + 1)
    passing = np.flatnonzero((1 - differing / n_bits).astype(np.float32) >= np.float32(threshold))
    return int(passing[-1]) if len(passing) else 0


def _cut(n_bits: int, most: int, loss: float, words: int) -> Screen:
    looked = words * WORD_BITS
    # Probability of more than x differing bits, for each x; the small ones summed first.
    of_pair = _hypergeometric(n_bits, most, looked)
    above = np.append(np.cumsum(of_pair[:0:-1])[::-1], 0.0)
    cut = int(np.flatnonzero(above <= loss)[0])
    of_strangers = _binomial(looked)
    return Screen(words, cut, float(above[cut]), float(of_strangers[: cut + 1].sum()))


def _hypergeometric(n_bits: int, most: int, looked: int) -> NDArray[np.float64]:
    """Return the probabilities of 0 to `looked` differing bits among those looked at."""
    total = _log_choose(n_bits, looked)
    return np.array(
        [
            exp(_log_choose(most, x) + _log_choose(n_bits - most, looked - x) - total)
            if x <= most and looked - x <= n_bits - most
            else 0.0
            for x in range(looked + 1)
        ]
    )


def _binomial(looked: int) -> NDArray[np.float64]:
    """Return the probabilities of 0 to `looked` differing bits of two strangers."""
    return np.array([exp(_log_choose(looked, x) - looked * np.log(2)) for x in range(looked + 1)])


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
