"""The loss of a screen is what it says, by an independent count."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.compare.screen import ALL_PAIRS, LISTED, screen_of


def lost_by_hand(n_bits: int, differing: int, looked: int, cut: int) -> float:
    """Probability of more than `cut` of `differing` bits among those looked at, exactly."""
    ways = sum(
        comb(differing, x) * comb(n_bits - differing, looked - x)
        for x in range(cut + 1, min(differing, looked) + 1)
    )
    return float(Fraction(ways, comb(n_bits, looked)))


@given(
    st.sampled_from([128, 256, 512, 1_024]),
    st.floats(0.5, 0.95),
    st.sampled_from([0.2, 0.01, 1e-3, 1e-6]),
)
def test_the_loss_is_exact_and_the_cut_the_lowest(
    n_bits: int, threshold: float, loss: float
) -> None:
    words = n_bits // 64 // 2
    screen = screen_of(n_bits, threshold, loss, words)
    assert screen is not None
    agreements = (1 - np.arange(n_bits + 1) / n_bits).astype(np.float32)
    most = int(np.flatnonzero(agreements >= np.float32(threshold))[-1])
    assert screen.loss == pytest.approx(
        lost_by_hand(n_bits, most, 64 * words, screen.differing), rel=1e-6, abs=1e-12
    )
    assert screen.loss <= loss
    if screen.differing:
        assert lost_by_hand(n_bits, most, 64 * words, screen.differing - 1) > loss * (1 - 1e-9)
    # The more a pair is above the threshold, the less it is lost.
    assert lost_by_hand(n_bits, most // 2, 64 * words, screen.differing) <= screen.loss + 1e-12


def test_pairs_at_the_threshold_are_lost_as_often_as_stated() -> None:
    screen = screen_of(4_096, 0.55, 0.05)
    assert screen is not None
    rng = np.random.default_rng(1)
    draws = rng.hypergeometric(1_843, 4_096 - 1_843, 64 * screen.words, 200_000)
    lost = float((draws > screen.differing).mean())
    assert lost == pytest.approx(screen.loss, abs=4 * (0.05 / 200_000) ** 0.5)
    strangers = rng.binomial(64 * screen.words, 0.5, 200_000) <= screen.differing
    assert float(strangers.mean()) == pytest.approx(screen.strangers, abs=0.005)


def test_no_loss_is_no_screen() -> None:
    assert screen_of(8_192, 0.535, 0.0) is None


def test_a_screen_that_all_strangers_pass_is_none() -> None:
    assert screen_of(1_024, 0.4, 0.01) is None


@pytest.mark.parametrize(("loss", "words"), [(-0.1, 0), (1.0, 0), (0.1, 16), (0.1, -1)])
def test_what_makes_no_sense_is_refused(loss: float, words: int) -> None:
    with pytest.raises(ValueError, match=r"probability|words"):
        screen_of(1_024, 0.6, loss, words)


def test_a_dearer_second_look_makes_the_first_longer() -> None:
    cheap = screen_of(8_192, 0.535, 0.01, second_look=LISTED)
    dear = screen_of(8_192, 0.535, 0.01, second_look=ALL_PAIRS)
    assert cheap is not None
    assert dear is not None
    assert dear.words > cheap.words
    assert dear.strangers < cheap.strangers
