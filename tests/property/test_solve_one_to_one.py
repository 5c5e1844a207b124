"""One-to-one links have the greatest sum there is, and keep to what is known."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from linkage.compare.candidates import Candidates
from linkage.errors import InputError
from linkage.solve.groups import solve_groups
from linkage.solve.known import Known
from linkage.solve.one_to_one import OneToOne, solve_one_to_one

Edge = tuple[int, int]
# Records 0 to 3 are of the first party, 4 to 8 of the second.
LEFT, RIGHT = 4, 5
PARTY = np.array([0] * LEFT + [1] * RIGHT, np.uint8)
EDGES = st.tuples(st.integers(0, LEFT - 1), st.integers(LEFT, LEFT + RIGHT - 1))
SIMILARITIES = st.sampled_from([0.25, 0.5, 0.625, 0.75, 0.875, 1.0])
# All ways to give each record of the first party a partner or none.
WAYS = set(permutations([*range(LEFT, LEFT + RIGHT), *[-1] * LEFT], LEFT))
CASES = st.dictionaries(EDGES, SIMILARITIES, max_size=20)
THRESHOLDS = st.sampled_from([0.1, 0.5, 0.7])


def candidates_of(pairs: dict[Edge, float]) -> Candidates:
    edges = np.array(list(pairs), np.int32).reshape(-1, 2)
    return Candidates(edges[:, 0], edges[:, 1], np.array(list(pairs.values()), np.float32))


def links_of(solution: OneToOne) -> dict[Edge, float]:
    joined = solution.groups.joined
    edges = zip(joined.left.tolist(), joined.right.tolist(), strict=True)
    return dict(zip(edges, joined.similarity.tolist(), strict=True))


def value_of(pairs: list[float], threshold: float) -> tuple[float, int]:
    """What is to be the greatest: the sum above the threshold, then the number of links."""
    return round(sum(s - float(np.float32(threshold)) for s in pairs), 9), len(pairs)


def best_by_hand(pairs: dict[Edge, float], threshold: float) -> tuple[float, int]:
    """The best of all ways, one by one."""
    passing = {edge: s for edge, s in pairs.items() if s >= np.float32(threshold)}
    chosen = {tuple(passing.get(edge) for edge in enumerate(way)) for way in WAYS}
    return max(value_of([s for s in way if s is not None], threshold) for way in chosen)


@given(CASES, THRESHOLDS)
def test_the_sum_is_the_greatest_of_all_ways(pairs: dict[Edge, float], threshold: float) -> None:
    solution = solve_one_to_one(candidates_of(pairs), PARTY, threshold)
    links = links_of(solution)
    assert all(pairs[edge] == s >= threshold for edge, s in links.items())
    assert (np.bincount(solution.groups.label) <= 2).all()
    assert value_of(list(links.values()), threshold) == best_by_hand(pairs, threshold)
    assert len(solution.greedy) == 0


@given(CASES, THRESHOLDS, st.randoms(use_true_random=False))
def test_links_do_not_depend_on_the_order_of_the_pairs(
    pairs: dict[Edge, float], threshold: float, random: object
) -> None:
    mixed = list(pairs.items())
    random.shuffle(mixed)  # type: ignore[attr-defined]
    one = solve_one_to_one(candidates_of(pairs), PARTY, threshold)
    other = solve_one_to_one(candidates_of(dict(mixed)), PARTY, threshold)
    assert list(links_of(one).items()) == list(links_of(other).items())
    # Nor on which side of a pair a record stands.
    turned = {(j, i): s for (i, j), s in pairs.items()}
    assert links_of(solve_one_to_one(candidates_of(turned), PARTY, threshold)) == links_of(one)


@given(CASES, THRESHOLDS)
def test_large_components_are_greedy_and_listed(pairs: dict[Edge, float], threshold: float) -> None:
    candidates = candidates_of({e: s for e, s in pairs.items() if s >= np.float32(threshold)})
    greedy = solve_groups(candidates, PARTY, frozenset({0, 1}))
    solution = solve_one_to_one(candidates, PARTY, threshold, largest=1)
    assert solution.groups.label.tolist() == greedy.label.tolist()
    assert solution.groups.joined.left.tolist() == greedy.joined.left.tolist()
    assert len(solution.greedy) == solution.n_components
    connected = solve_groups(candidates, PARTY, frozenset()).label
    sizes = np.bincount(connected, minlength=1)
    assert solution.greedy.tolist() == np.flatnonzero(sizes > 1).tolist()


@given(CASES, THRESHOLDS, st.lists(EDGES, max_size=2), st.lists(EDGES, max_size=4))
def test_what_is_known_is_kept_and_the_rest_is_best(
    pairs: dict[Edge, float], threshold: float, links: list[Edge], non_links: list[Edge]
) -> None:
    records = [record for edge in set(links) for record in edge]
    contradiction = len(set(records)) < len(records) or set(links) & set(non_links)
    known = Known.of(links, non_links)
    if contradiction:
        with pytest.raises(InputError):
            solve_one_to_one(candidates_of(pairs), PARTY, threshold, known)
        return
    solution = solve_one_to_one(candidates_of(pairs), PARTY, threshold, known)
    label = solution.groups.label
    assert all(label[i] == label[j] for i, j in links)
    assert all(label[i] != label[j] for i, j in non_links)
    assert solution.groups.known == len(set(links))
    found = {e: s for e, s in links_of(solution).items() if e not in links}
    rest = {
        edge: s
        for edge, s in pairs.items()
        if edge not in non_links and not set(edge) & set(records)
    }
    assert value_of(list(found.values()), threshold) == best_by_hand(rest, threshold)


def test_best_first_can_miss_what_the_best_assignment_finds() -> None:
    # Record 0 is the only one for record 4, and the best for record 5, which has another.
    pairs = {(0, 4): 0.9, (0, 5): 0.95, (1, 5): 0.9}
    assert set(links_of(solve_one_to_one(candidates_of(pairs), PARTY, 0.5))) == {(0, 4), (1, 5)}
    greedy = solve_groups(candidates_of(pairs), PARTY, frozenset({0, 1}))
    assert greedy.joined.left.tolist() == [0]


@pytest.mark.parametrize("sizes", [(60, 60), (30, 80), (80, 30)])
def test_large_assignments_have_the_sum_of_another_solver(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    weights = (rng.integers(0, 1_000, sizes) / 1_000).astype(np.float32)
    rows, columns = np.nonzero(weights >= 0.5)
    candidates = Candidates(
        rows.astype(np.int32), (sizes[0] + columns).astype(np.int32), weights[rows, columns]
    )
    party = np.repeat(np.array([0, 1], np.uint8), sizes)
    links = solve_one_to_one(candidates, party, 0.5).groups.joined.similarity
    value = np.where(weights >= 0.5, weights.astype(float) - 0.5, 0)
    best = value[linear_sum_assignment(value, maximize=True)].sum()
    assert float((links.astype(float) - 0.5).sum()) == pytest.approx(best, abs=1e-9)


def test_a_pair_listed_twice_counts_once_and_by_its_better_similarity() -> None:
    edges = np.array([0, 0, 1], np.int32), np.array([4, 4, 4], np.int32)
    candidates = Candidates(*edges, np.array([0.6, 0.9, 0.8], np.float32))
    joined = solve_one_to_one(candidates, PARTY, 0.5).groups.joined
    assert joined.similarity.tolist() == [np.float32(0.9)]


@pytest.mark.parametrize(("left", "right", "party"), [(0, 1, 0), (4, 5, 0), (0, 4, 2)])
def test_only_pairs_between_two_parties_are_taken(left: int, right: int, party: int) -> None:
    parties = PARTY.copy()
    parties[0] = party
    candidates = candidates_of({(left, right): 0.9})
    with pytest.raises(ValueError, match="two parties"):
        solve_one_to_one(candidates, parties, 0.5)
