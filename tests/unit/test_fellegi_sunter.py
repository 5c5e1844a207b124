"""The model finds what was planted, says when there is nothing, and explains its scores."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from linkage.classify.estimate import MATCH, NO_MATCH, UNKNOWN, fit
from linkage.classify.fellegi_sunter import LinkageModel, Roles
from linkage.classify.levels import N_LEVELS, Level

TYPES = ("name", "date", "place", "sex", "mother_name")
ROLES = Roles.of(TYPES)
N_PAIRS = 1_000_000


def shares(different: float, close: float, equal: float) -> NDArray[np.float64]:
    row = np.zeros(N_LEVELS)
    row[[Level.DIFFERENT, Level.CLOSE, Level.EQUAL]] = different, close, equal
    return row / row.sum()


M = np.stack([
    shares(0.04, 0.16, 0.80), shares(0.03, 0.07, 0.90), shares(0.10, 0.10, 0.80),
    shares(0.02, 0.00, 0.98), shares(0.05, 0.25, 0.70),
])  # fmt: skip
U = np.stack([
    shares(0.994, 0.004, 0.002), shares(0.994, 0.005, 0.001), shares(0.95, 0.01, 0.04),
    shares(0.5, 0.0, 0.5), shares(0.996, 0.003, 0.001),
])  # fmt: skip
# Brothers and sisters: the same place and mother, the rest as of strangers.
F = np.stack([U[0], U[1], shares(0.05, 0.05, 0.90), U[3], shares(0.02, 0.08, 0.90)])


@dataclass
class Planted:
    levels: NDArray[np.int8]
    random_levels: NDArray[np.int8]
    is_match: NDArray[np.bool_]


def drawn(
    table: NDArray[np.float64], n: int, rng: np.random.Generator, missing: float = 0.05
) -> NDArray[np.int8]:
    columns = [rng.choice(N_LEVELS, size=n, p=row) for row in table]
    levels = np.stack(columns, axis=1).astype(np.int8)
    levels[rng.random(levels.shape) < missing] = Level.MISSING
    return levels


def planted(n_match: int = 3_000, n_relatives: int = 0, seed: int = 1) -> Planted:
    """Candidates chosen for likeness among strangers, with matches and relatives."""
    rng = np.random.default_rng(seed)
    strangers = drawn(U, N_PAIRS, rng)
    alike = (strangers >= Level.CLOSE).sum(axis=1)
    chosen = strangers[np.argsort(-alike, kind="stable")[:30_000]]
    levels = np.concatenate([drawn(M, n_match, rng), drawn(F, n_relatives, rng), chosen])
    is_match = np.arange(len(levels)) < n_match
    order = rng.permutation(len(levels))
    return Planted(levels[order], drawn(U, 50_000, rng), is_match[order])


def fitted(data: Planted, known: NDArray[np.int8] | None = None) -> LinkageModel:
    return fit(data.levels, data.random_levels, ROLES, N_PAIRS, known)


def test_planted_rates_are_found_though_candidates_are_chosen_for_likeness() -> None:
    data = planted()
    model = fitted(data)
    assert model.notes == ()
    assert model.matches == pytest.approx(3_000, rel=0.05)
    assert np.abs(model.m - M).max() < 0.04
    assert np.abs(model.u - U).max() < 0.01
    found = model.score(data.levels).posterior > 0.5
    assert (found & data.is_match).sum() / found.sum() > 0.98
    assert (found & data.is_match).sum() / 3_000 > 0.96


def test_relatives_are_no_matches() -> None:
    data = planted(n_relatives=2_500)
    model = fitted(data)
    assert model.matches == pytest.approx(3_000, rel=0.06)
    assert model.relatives == pytest.approx(2_500, rel=0.25)
    scores = model.score(data.levels)
    found = scores.posterior > 0.5
    assert (found & data.is_match).sum() / found.sum() > 0.97
    # One with the same mother and place and nothing else.
    sibling = np.full((1, 5), Level.EQUAL, dtype=np.int8)
    sibling[0, :2] = Level.DIFFERENT
    taken_off = model.score(sibling)
    assert taken_off.relatives[0] < -5
    assert taken_off.posterior[0] < 0.05
    without = replace(model, relatives=0.0, twins=0.0).score(sibling)
    assert without.relatives[0] == 0
    assert without.posterior[0] > taken_off.posterior[0]


def test_an_estimate_says_how_many_of_its_links_hold() -> None:
    data = planted(n_relatives=2_500, seed=3)
    posterior = fitted(data).score(data.levels).posterior
    found = posterior > 0.5
    assert posterior[found].mean() == pytest.approx(data.is_match[found].mean(), abs=0.02)
    recall = posterior[found].sum() / posterior.sum()
    assert recall == pytest.approx((found & data.is_match).sum() / 3_000, abs=0.03)


def test_without_matches_there_are_none_and_it_is_said() -> None:
    data = planted(n_match=0)
    model = fitted(data)
    assert model.notes
    assert model.matches < 60
    assert (model.score(data.levels).posterior > 0.5).sum() < 30


@pytest.mark.parametrize("n_match", [0, 20])
def test_relatives_do_not_become_the_matches(n_match: int) -> None:
    """With next to no matches the class of matches must not settle on brothers."""
    data = planted(n_match=n_match, n_relatives=2_500, seed=2)
    model = fitted(data)
    found = model.score(data.levels).posterior > 0.5
    assert (found & ~data.is_match).sum() < 30
    assert (found & data.is_match).sum() >= 0.8 * n_match
    assert model.notes or n_match


def test_too_few_random_pairs_are_said() -> None:
    data = planted()
    model = fit(data.levels, data.random_levels[:500], ROLES, N_PAIRS)
    assert any("random pairs" in note for note in model.notes)


def test_no_candidates_at_all() -> None:
    model = fit(np.zeros((0, 5), np.int8), planted().random_levels, ROLES, N_PAIRS)
    assert model.notes
    assert model.score(np.zeros((0, 5), np.int8)).log_odds.shape == (0,)


def test_weights_rise_with_the_level_and_explain_the_score() -> None:
    data = planted(n_relatives=500)
    model = fitted(data)
    weights = model.level_weights()
    for row in weights[:, [Level.DIFFERENT, Level.CLOSE, Level.EQUAL]]:
        assert (np.diff(row) >= -1e-9).all()
    assert (weights[:, Level.MISSING] == 0).all()
    scores = model.score(data.levels[:100])
    total = model.prior_weight + scores.weights.sum(axis=1) + scores.relatives
    assert scores.log_odds == pytest.approx(total, abs=1e-3)
    assert (np.argsort(scores.similarity) == np.argsort(scores.log_odds.astype(np.float32))).any()
    assert ((scores.similarity >= 0.5) == (scores.log_odds >= 0)).all()


def test_known_pairs_are_learnt_from() -> None:
    """Few and dirty matches: with half of all known, rates are nearer the truth."""
    data = planted(n_match=60, seed=5)
    rng = np.random.default_rng(9)
    known = np.where(data.is_match, MATCH, NO_MATCH).astype(np.int8)
    known[rng.random(len(known)) < 0.5] = UNKNOWN
    model, blind = fitted(data, known), fitted(data)
    assert model.notes == ()
    assert np.abs(model.m - M).max() <= np.abs(blind.m - M).max() + 0.02
    assert model.matches == pytest.approx(60, rel=0.2)


def test_shapes_that_do_not_fit() -> None:
    data = planted()
    with pytest.raises(ValueError, match="numbers of attributes"):
        fit(data.levels[:, :4], data.random_levels, ROLES, N_PAIRS)
    with pytest.raises(ValueError, match="known"):
        fit(data.levels, data.random_levels, ROLES, N_PAIRS, np.zeros(3, np.int8))
