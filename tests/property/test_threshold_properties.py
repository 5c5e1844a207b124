"""The threshold without truth, on similarities whose classes are known because they were drawn."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.classify.curve import Curve, fit_sum
from linkage.classify.linked import linked
from linkage.classify.mixture import TAIL, MixtureFit
from linkage.classify.null import Null
from linkage.classify.rivals import rivals_of
from linkage.classify.threshold import Threshold, choose_threshold
from linkage.compare.candidates import Candidates
from linkage.schema import Encoding
from linkage.solve.groups import Groups, solve_groups

BINS = 2_000
SIZE = 1_000
BITS = 4_096


def histogram_of(similarity: NDArray[np.float64]) -> NDArray[np.int64]:
    at = np.minimum((similarity * BINS).astype(np.int64), BINS)
    return np.bincount(at, minlength=BINS + 1)


class Drawn:
    """Two files of which some records match: similarities of all pairs, as codes would give."""

    def __init__(
        self, seed: int, n_matches: int, null: Null, mean: float = 0.85, relatives: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        spread = 0.5 / np.sqrt(BITS) if null.known else 0.05
        middle = 0.5 if null.known else 0.4
        scores = rng.normal(middle, spread, (SIZE, SIZE))
        rows = np.arange(n_matches)
        scores[rows, rows] = rng.normal(mean, 0.05, n_matches)
        # Relatives are of persons who match, too: their records have a sure partner elsewhere.
        left = rng.integers(SIZE, size=relatives)
        right = (left + 1 + rng.integers(SIZE - 1, size=relatives)) % SIZE
        scores[left, right] = 0.6 + rng.exponential(0.04, relatives)
        scores = scores.clip(0.0, 1.0)
        self.null, self.n_matches = null, n_matches
        self.histogram = histogram_of(scores.ravel())
        reaching = np.cumsum(self.histogram[::-1])[::-1]
        floor = int(np.argmax(reaching <= 2 * TAIL * 2 * SIZE)) / BINS
        at, to = np.nonzero(scores >= floor)
        self.candidates = Candidates(
            at.astype(np.int32), (to + SIZE).astype(np.int32), scores[at, to].astype(np.float32)
        )
        self.party_of = np.repeat(np.arange(2, dtype=np.uint8), SIZE)
        self.groups: Groups = solve_groups(self.candidates, self.party_of, frozenset({0, 1}))

    def choose(self) -> Threshold:
        return choose_threshold(
            self.histogram,
            self.candidates,
            self.groups,
            self.party_of,
            frozenset({0, 1}),
            self.null,
            np.random.default_rng(0),
        )

    def f1(self, threshold: float) -> float:
        joined = self.groups.above(threshold).joined
        right = (joined.left + SIZE == joined.right) & (joined.left < self.n_matches)
        return float(2 * right.sum() / (len(joined) + self.n_matches))

    @property
    def best_f1(self) -> float:
        return max(self.f1(float(at)) for at in np.unique(self.groups.joined.similarity)[::5])


nulls = st.sampled_from([Null(), Null(BITS, 1)])
few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@few
@given(st.integers(0, 1000), st.integers(200, 900), nulls, st.floats(0.72, 0.9))
def test_the_threshold_is_nearly_the_best(
    seed: int, n_matches: int, null: Null, mean: float
) -> None:
    drawn = Drawn(seed, n_matches, null, mean)
    chosen = drawn.choose()
    assert drawn.f1(chosen.value) >= drawn.best_f1 - 0.02
    assert chosen.floor <= chosen.value <= chosen.sure
    for interval in (chosen.precision, chosen.recall):
        assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@few
@given(st.integers(0, 1000), st.integers(400, 900))
def test_relatives_are_not_taken_for_matches(seed: int, n_matches: int) -> None:
    drawn = Drawn(seed, n_matches, Null(), relatives=600)
    chosen = drawn.choose()
    assert drawn.f1(chosen.value) >= drawn.best_f1 - 0.02


@few
@given(st.integers(0, 1000), nulls)
def test_without_matches_next_to_nothing_is_linked_and_no_quality_claimed(
    seed: int, null: Null
) -> None:
    drawn = Drawn(seed, 0, null)
    chosen = drawn.choose()
    assert len(drawn.groups.above(chosen.value).joined) <= 5
    assert chosen.notes
    assert chosen.sure > 1
    assert (chosen.precision.low, chosen.precision.high) == (0.0, 1.0)


def test_a_handful_of_records_is_refused_in_words() -> None:
    histogram = np.zeros(BINS + 1, np.int64)
    histogram[-1] = 3
    nothing = Candidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    party_of = np.array([0, 0, 1, 1], np.uint8)
    groups = solve_groups(nothing, party_of, frozenset())
    rng = np.random.default_rng(0)
    chosen = choose_threshold(histogram, nothing, groups, party_of, frozenset(), Null(), rng)
    assert chosen.notes
    assert chosen.sure > 1


def test_equal_inputs_give_the_same_threshold() -> None:
    drawn = Drawn(5, 500, Null())
    assert drawn.choose() == drawn.choose()


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 8))
def test_likeness_rises_with_similarity_and_keeps_its_ends(
    one: float, two: float, order: int
) -> None:
    null = Null(BITS, order)
    low, high = null.likeness(np.sort(np.array([one, two])))
    assert low <= high
    assert null.likeness(np.array([0.5, 1.0])).tolist() == [0.0, 1.0]


def test_what_is_known_of_strangers_follows_the_encoding() -> None:
    assert not Null.of(Encoding(scheme="clk")).known
    known = Null.of(Encoding(scheme="saul", bits=4096, order=3))
    assert (known.bits, known.order) == (4096, 3)
    assert known.variance == pytest.approx(0.25 / 4096)


@given(st.integers(100, 3000), st.sampled_from([512, 1024, 4096, 8192]))
def test_bins_hold_every_similarity_of_codes_once(bins: int, bits: int) -> None:
    held = Null(bits, 5).held(bins) * (bits / bins)
    by_hand = np.bincount([agreeing * bins // bits for agreeing in range(bits + 1)])
    full = by_hand > 0
    assert held[full] == pytest.approx(by_hand[full])
    assert (Null().held(bins) == 1).all()


@few
@given(st.integers(0, 1000))
def test_the_expected_counts_of_a_mixture_add_up(seed: int) -> None:
    drawn = Drawn(seed, 500, Null())
    mixture = MixtureFit(drawn.histogram, Null(), 2 * SIZE).mixture()
    expected = (mixture.strangers + mixture.relatives + mixture.matches).sum()
    assert expected == pytest.approx(mixture.counts.sum(), rel=0.02)
    assert mixture.n_matches == pytest.approx(500, rel=0.1)
    ends = np.array([mixture.at[0], 1.1])
    assert mixture.unlike_from(ends)[1] == 0.0
    assert mixture.matches_from(ends)[0] == pytest.approx(mixture.matches.sum())


def test_curves_are_fitted_to_what_was_drawn_from_them() -> None:
    at = np.linspace(0, 1, 200)
    falling = Curve(at, np.zeros(200), np.zeros(0), np.zeros(2), np.full(2, 1e3))
    rising = Curve(at, np.zeros(200), np.zeros(0), np.zeros(2), np.full(2, 1e3))
    true = [np.array([8.0, -20.0]), np.array([-3.0, 8.0])]
    rng = np.random.default_rng(0)
    expected = falling.expected(true[0]) + rising.expected(true[1])
    counts = rng.poisson(expected).astype(np.float64)
    fitted = fit_sum([falling, rising], counts, [np.array([7.0, -10.0]), np.array([0.0, 4.0])])
    for own, of_curve in zip(fitted.parameters, true, strict=True):
        assert own == pytest.approx(of_curve, rel=0.1)
    drawn = fitted.drawn(rng)
    assert drawn[0] == pytest.approx(true[0], rel=0.2)


def test_the_gradient_of_a_curve_is_its_derivative() -> None:
    at, knots = np.linspace(0, 1, 50), np.array([0.2, 0.5, 0.8])
    curve = Curve(at, np.zeros(50), knots, np.zeros(6), np.ones(6))
    here, step = np.array([2.0, 3.0, 0.5, 0.1, -0.2, 0.3]), 1e-6
    gradient = curve.gradient(here, curve.expected(here))
    for number in range(len(here)):
        there = here.copy()
        there[number] += step
        difference = (curve.expected(there) - curve.expected(here)) / step
        assert gradient[:, number] == pytest.approx(difference, rel=1e-3, abs=1e-4)


def test_rivals_are_pairs_of_records_with_a_sure_partner_elsewhere() -> None:
    left, right = np.array([0, 1, 0, 2], np.int32), np.array([4, 5, 5, 6], np.int32)
    pairs = Candidates(left, right, np.array([1.0, 1.0, 0.6, 0.6], np.float32))
    party_of = np.repeat(np.arange(2, dtype=np.uint8), 4)
    rivals = rivals_of(pairs, party_of, 4.0, 10, np.random.default_rng(0))
    # 0 and 5 are sure of others; 2 and 6 have nobody else.
    assert rivals.histogram.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert rivals.of_strangers == pytest.approx(0.75, abs=0.02)
    assert rivals.of_matches < 0.01
    assert rivals.telling


def test_pairs_found_and_implied_are_counted_by_threshold() -> None:
    left, right = np.array([0, 0, 1], np.int32), np.array([2, 3, 2], np.int32)
    pairs = Candidates(left, right, np.array([0.9, 0.8, 0.7], np.float32))
    party_of = np.array([0, 0, 1, 1], np.uint8)
    groups = solve_groups(pairs, party_of, frozenset())
    states = linked(groups, pairs, party_of, frozenset(), 0.5, np.random.default_rng(0))
    assert states.threshold == pytest.approx([0.9, 0.8, 0.7])
    assert states.found.tolist() == [1, 2, 4]
    # Records 1 and 3 are in one group without being alike.
    assert states.implied.tolist() == [0, 0, 1]
