"""Known links are always made, and known non-links never, not even through others."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.compare.candidates import Candidates
from linkage.errors import InputError
from linkage.solve.groups import Groups, single_parties, solve_groups
from linkage.solve.known import Known

Pair = tuple[int, int, float]
Edge = tuple[int, int]
N = 9
EDGES = st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)).filter(lambda e: e[0] != e[1])
SIMILARITIES = st.sampled_from([0.25, 0.5, 0.75, 1.0])
CASES = st.tuples(
    st.lists(st.tuples(EDGES, SIMILARITIES), max_size=25, unique_by=lambda p: frozenset(p[0])),
    st.lists(EDGES, max_size=3),
    st.lists(EDGES, max_size=6),
    st.lists(st.integers(0, 3), min_size=N, max_size=N),
    st.frozensets(st.integers(0, 3)),
)
Case = tuple[list[tuple[Edge, float]], list[Edge], list[Edge], list[int], frozenset[int]]


def solved(case: Case) -> Groups:
    pairs, links, non_links, party_of, single = case
    candidates = Candidates(
        np.array([edge[0] for edge, _ in pairs], np.int32),
        np.array([edge[1] for edge, _ in pairs], np.int32),
        np.array([s for _, s in pairs], np.float32),
    )
    return solve_groups(
        candidates, np.array(party_of, np.uint8), single, Known.of(links, non_links)
    )


def greedy_by_hand(case: Case) -> tuple[list[int], list[Pair], int] | None:
    """The definition on whole sets; None where what is known contradicts itself."""
    pairs, links, non_links, party_of, single = case
    groups = [{record} for record in range(N)]
    ordered = sorted(((-s, *edge) for edge, s in pairs))
    certain = [(-1.0, min(edge), max(edge)) for edge in links]
    taken: list[Pair] = []
    known = 0
    for place, (s, i, j) in enumerate(certain + ordered):
        a = next(group for group in groups if i in group)
        b = next(group for group in groups if j in group)
        if a is b:
            continue
        parties = [party_of[record] for record in a | b if party_of[record] in single]
        apart = any((x in a and y in b) or (x in b and y in a) for x, y in non_links)
        if apart or len(set(parties)) < len(parties):
            if place < len(certain):
                return None
            continue
        groups = [group for group in groups if group is not a and group is not b] + [a | b]
        taken.append((i, j, -s))
        known += place < len(certain)
    return [min(next(g for g in groups if r in g)) for r in range(N)], taken, known


@given(CASES)
def test_groups_with_what_is_known_are_those_of_the_plain_greedy(case: Case) -> None:
    expected = greedy_by_hand(case)
    if expected is None:
        with pytest.raises(InputError, match="known link"):
            solved(case)
        return
    groups = solved(case)
    joined = groups.joined
    columns = (joined.left.tolist(), joined.right.tolist(), joined.similarity.tolist())
    assert (groups.label.tolist(), list(zip(*columns, strict=True)), groups.known) == expected


@given(CASES)
def test_links_are_inside_groups_and_non_links_across(case: Case) -> None:
    try:
        label = solved(case).label
    except InputError:
        return
    assert all(label[i] == label[j] for i, j in case[1])
    assert all(label[i] != label[j] for i, j in case[2])


@given(CASES, st.sampled_from([0.3, 0.5, 0.8, 1.1]))
def test_groups_above_a_threshold_keep_what_is_known(case: Case, threshold: float) -> None:
    pairs, *rest = case
    try:
        above = solved(case).above(threshold)
    except InputError:
        return
    kept = [pair for pair in pairs if pair[1] >= threshold]
    again = solved((kept, *rest))  # type: ignore[arg-type]
    assert above.label.tolist() == again.label.tolist()
    assert above.joined.left.tolist() == again.joined.left.tolist()
    assert above.known == again.known


def test_a_non_link_holds_through_a_long_chain() -> None:
    n = 200
    chain = [((i, i + 1), 1 - i / 1_000) for i in range(n - 1)]
    candidates = Candidates(
        np.array([i for (i, _), _ in chain], np.int32),
        np.array([j for (_, j), _ in chain], np.int32),
        np.array([s for _, s in chain], np.float32),
    )
    # Every record of the first half is known to be none of the second half's last ones.
    apart = [(i, j) for i, j in combinations(range(n), 2) if i < n // 2 and j > n - 10]
    party = np.zeros(n, np.uint8)
    groups = solve_groups(candidates, party, frozenset(), Known.of((), apart))
    assert groups.label[: n - 9].tolist() == [0] * (n - 9)
    assert groups.label[n - 9 :].tolist() == [n - 9] * 9


def test_two_known_links_of_one_record_are_refused_in_one_to_one() -> None:
    none = Candidates(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    party = np.array([0, 1, 1], np.uint8)
    with pytest.raises(InputError, match="records 0 and 2"):
        solve_groups(none, party, single_parties("one-to-one", 2), Known.of([(0, 1), (2, 0)]))
