"""What is known beforehand of the similarities of strangers, and on which scale to see pairs.

Bits of hardened codes come from keyed draws: of strangers, whose filters have next to nothing
in common, they agree as coins do, N(1/2, 1/(4 L)) for L bits. That is known; how many pairs are
strangers, and how far common values shift them, is fitted (`mixture`). Of plain filters nothing
is known beforehand: popular names and dates make strangers alike to a degree that only the data
tell.

A code that takes the parity of several draws flattens likeness to its power: two filters whose
draws agree but for a share d agree in 1/2 + (1 - 2 d)^t / 2 of the bits of order t. Its root is
a scale on which dirty and clean pairs lie as evenly as they do for plain filters.

Source: Armknecht, Heng and Schnell, PoPETs 2023(3):298 (parity of t bits); Armknecht and
Schaefer, PoPETs 2026(2):6 (parity of t signs).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.schema import Encoding


@dataclass(frozen=True)
class Null:
    """What is known of strangers under an encoding.

    Attributes:
        bits: length of a hardened code; 0 for plain filters.
        order: how many draws a bit of it is the parity of; 1 for plain filters.
    """

    bits: int = 0
    order: int = 1

    @classmethod
    def of(cls, encoding: Encoding) -> "Null":
        """Return what is known under the encoding of a schema."""
        return cls() if encoding.scheme == "clk" else cls(encoding.code_bits, encoding.code_order)

    @property
    def known(self) -> bool:
        """Whether the distribution is known but for its number and shift."""
        return self.bits > 0

    @property
    def variance(self) -> float:
        """Variance of the similarity of strangers, where it is known."""
        return 0.25 / self.bits

    def likeness(self, similarity: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return similarities on the scale of plain filters, from -1 to 1."""
        if not self.known:
            return similarity
        agreement = 2 * similarity - 1
        root: NDArray[np.float64] = np.sign(agreement) * np.abs(agreement) ** (1 / self.order)
        return root

    def held(self, bins: int) -> NDArray[np.float64]:
        """Return how full of possible similarities each bin is, 1 on average, shape (bins + 1,).

        Codes of L bits have L + 1 similarities. Where the number of bins does not divide L,
        some bins hold one more than others.
        """
        if not self.known:
            return np.ones(bins + 1)
        at = np.arange(self.bits + 1, dtype=np.int64) * bins // self.bits
        held = np.bincount(at, minlength=bins + 1) * (bins / self.bits)
        # Bins that hold none have no pairs either.
        full: NDArray[np.float64] = np.maximum(held, 1e-3).astype(np.float64)
        return full
