import numpy as np

from linkage.classify.quality import quality_of
from linkage.classify.sweep import GreedySweep, SolvedSweep
from linkage.compare.candidates import Candidates
from linkage.solve.groups import solve_groups

PARTY = np.zeros(6, np.uint8)
PERSON = np.array([0, 0, 1, 1, 2, 3])
# Two pairs that are right, one between both that is not, one of two strangers.
PAIRS = Candidates(
    np.array([0, 2, 1, 4], np.int32),
    np.array([1, 3, 2, 5], np.int32),
    np.array([0.9, 0.8, 0.7, 0.6], np.float32),
)


def test_a_sweep_tells_the_groups_at_a_threshold_and_the_best_one() -> None:
    greedy = GreedySweep(solve_groups(PAIRS, PARTY, frozenset()))
    assert greedy.label(0.65).tolist() == [0, 0, 0, 0, 4, 5]
    at, best = greedy.best(PERSON, PARTY)
    assert (round(at, 3), best.f1) == (0.8, 1.0)


def test_with_support_a_doubtful_pair_spoils_no_groups_at_any_threshold() -> None:
    sweep = SolvedSweep(PAIRS, PARTY, 1, "many-to-many", 0.75)
    assert sweep.label(0.65).tolist() == [0, 0, 2, 2, 4, 5]
    at, best = sweep.best(PERSON, PARTY)
    assert best == quality_of(sweep.label(at), PERSON, PARTY)
    assert best.f1 == 1.0


def test_without_pairs_the_best_is_to_link_nothing() -> None:
    none = PAIRS.where(np.zeros(4, np.bool_))
    at, best = SolvedSweep(none, PARTY, 1, "many-to-many", 0.75).best(PERSON, PARTY)
    assert (at, best.pairs_found) == (1.0, 0)
