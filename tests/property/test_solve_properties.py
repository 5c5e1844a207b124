"""Match groups and link ids agree with their plain definitions."""

import hashlib
import hmac
from collections import defaultdict
from itertools import combinations, permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from linkage.compare.candidates import Candidates
from linkage.result import LINK_ID_BYTES, MATCH, UNDETERMINED
from linkage.solve.agreed import Solution, solve_surely
from linkage.solve.groups import (
    Groups,
    pairs_in_groups,
    single_parties,
    solve_groups,
)
from linkage.solve.links import answers_of, grades_of, links_of_pair

Pair = tuple[int, int, float]
# Exact in float32, with many ties.
SIMILARITIES = st.sampled_from([0.25, 0.5, 0.625, 0.75, 0.875, 1.0])


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], list[Pair], frozenset[int]]:
    """Parties of records, pairs between unlike ones, and the single parties."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    party_of = [party for party, size in enumerate(sizes) for _ in range(size)]
    possible = [
        (i, j) for i, j in combinations(range(len(party_of)), 2) if party_of[i] != party_of[j]
    ]
    pairs = draw(st.lists(st.sampled_from(possible), max_size=30, unique=True))
    scores = draw(st.lists(SIMILARITIES, min_size=len(pairs), max_size=len(pairs)))
    single = draw(st.frozensets(st.integers(0, len(sizes) - 1)))
    return party_of, [(*p, s) for p, s in zip(pairs, scores, strict=True)], single


Problem = tuple[list[int], list[Pair], frozenset[int]]


def candidates_of(pairs: list[Pair]) -> Candidates:
    columns: list[tuple[float, ...]] = list(zip(*pairs, strict=True)) or [(), (), ()]
    return Candidates(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int32),
        np.array(columns[2], np.float32),
    )


def solved(party_of: list[int], pairs: list[Pair], single: frozenset[int]) -> Groups:
    return solve_groups(candidates_of(pairs), np.array(party_of, np.uint8), single)


def joined_of(groups: Groups) -> list[Pair]:
    joined = groups.joined
    return list(
        zip(joined.left.tolist(), joined.right.tolist(), joined.similarity.tolist(), strict=True)
    )


def greedy_by_hand(
    party_of: list[int], pairs: list[Pair], single: frozenset[int]
) -> tuple[list[int], list[Pair]]:
    """The definition: whole groups as sets, looked through from the start each time."""
    groups = [{record} for record in range(len(party_of))]
    taken = []
    for i, j, s in sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1])):
        a = next(group for group in groups if i in group)
        b = next(group for group in groups if j in group)
        parties = [party_of[record] for record in a | b if party_of[record] in single]
        if a is b or len(set(parties)) < len(parties):
            continue
        groups = [group for group in groups if group is not a and group is not b] + [a | b]
        taken.append((i, j, s))
    label = [min(next(g for g in groups if record in g)) for record in range(len(party_of))]
    return label, taken


def components_by_hand(n: int, pairs: list[Pair]) -> list[int]:
    """Connected components by breadth-first search."""
    neighbours = defaultdict(set)
    for i, j, _ in pairs:
        neighbours[i].add(j)
        neighbours[j].add(i)
    label = [-1] * n
    for start in range(n):
        waiting = [start] if label[start] < 0 else []
        for record in waiting:
            if label[record] < 0:
                label[record] = start
                waiting.extend(neighbours[record])
    return label


@given(problems())
def test_groups_are_those_of_the_plain_greedy(problem: Problem) -> None:
    groups = solved(*problem)
    label, taken = greedy_by_hand(*problem)
    assert groups.label.tolist() == label
    assert joined_of(groups) == taken


@given(problems())
def test_a_label_is_the_smallest_record_of_its_group(problem: Problem) -> None:
    label = solved(*problem).label
    assert (label[label] == label).all()
    assert (label <= np.arange(len(label))).all()


@given(problems())
def test_a_single_party_is_never_twice_in_a_group(problem: Problem) -> None:
    party_of, _, single = problem
    label = solved(*problem).label.tolist()
    members = [(group, party) for group, party in zip(label, party_of, strict=True)]
    for member in members:
        if member[1] in single:
            assert members.count(member) == 1


@given(problems())
def test_many_to_many_groups_are_connected_components(problem: Problem) -> None:
    party_of, pairs, _ = problem
    label = solved(party_of, pairs, frozenset()).label.tolist()
    assert label == components_by_hand(len(party_of), pairs)


@given(problems())
def test_one_to_one_between_two_parties_is_the_greedy_matching(problem: Problem) -> None:
    party_of, pairs, _ = problem
    two = [pair for pair in pairs if party_of[pair[0]] < 2 and party_of[pair[1]] < 2]
    used: set[int] = set()
    expected = []
    for i, j, s in sorted(two, key=lambda pair: (-pair[2], pair[0], pair[1])):
        if i not in used and j not in used:
            used |= {i, j}
            expected.append((i, j, s))
    groups = solved(party_of, two, single_parties("one-to-one", 2))
    assert joined_of(groups) == expected
    assert (np.bincount(groups.label) <= 2).all()


@given(problems())
def test_one_to_many_keeps_the_first_party_single(problem: Problem) -> None:
    party_of, pairs, _ = problem
    label = solved(party_of, pairs, single_parties("one-to-many", 4)).label
    first = label[np.array(party_of) == 0]
    assert len(set(first.tolist())) == len(first)


@given(problems(), st.randoms(use_true_random=False))
def test_ties_are_broken_alike_in_any_order_of_the_input(problem: Problem, random: object) -> None:
    party_of, pairs, single = problem
    before = solved(party_of, pairs, single)
    mixed = list(pairs)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    after = solved(party_of, mixed, single)
    assert after.label.tolist() == before.label.tolist()
    assert joined_of(after) == joined_of(before)


@given(problems(), st.one_of(SIMILARITIES, st.floats(0.2, 1.1)))
def test_groups_above_a_threshold_are_those_solved_again(
    problem: Problem, threshold: float
) -> None:
    party_of, pairs, single = problem
    again = solved(party_of, [pair for pair in pairs if pair[2] >= np.float32(threshold)], single)
    above = solved(*problem).above(threshold)
    assert above.label.tolist() == again.label.tolist()
    assert joined_of(above) == joined_of(again)


def plainly_supported(
    party_of: list[int], pairs: list[Pair], single: frozenset[int], certain: float
) -> list[int]:
    """Join by the best pair that may, until none may."""
    groups = [{record} for record in range(len(party_of))]
    in_order = sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))

    def of(record: int) -> set[int]:
        return next(group for group in groups if record in group)

    def may_join(pair: Pair) -> bool:
        a, b = of(pair[0]), of(pair[1])
        if a is b or {party_of[r] for r in a} & {party_of[r] for r in b} & single:
            return False
        between = sum((x in a and y in b) or (x in b and y in a) for x, y, _ in pairs)
        return pair[2] >= certain or between >= min(len(a), len(b))

    while pair := next(filter(may_join, in_order), None):
        a, b = of(pair[0]), of(pair[1])
        groups = [group for group in groups if group is not a and group is not b] + [a | b]
    return [min(of(record)) for record in range(len(party_of))]


@given(problems(), SIMILARITIES)
def test_groups_with_support_are_those_of_the_definition(problem: Problem, certain: float) -> None:
    party_of, pairs, single = problem
    groups = solve_groups(
        candidates_of(pairs), np.array(party_of, np.uint8), single, certain=certain
    )
    assert groups.label.tolist() == plainly_supported(party_of, pairs, single, certain)
    assert len(groups.joined) == len(party_of) - len(set(groups.label.tolist()))


def test_support_that_comes_late_joins_however_long_the_chain_is() -> None:
    # Groups of two in a row, each joined to the next by a pair, and by another one to the first.
    n = 200
    sure = [(2 * i, 2 * i + 1, 0.9) for i in range(n)]
    chain = [(2 * i + 1, 2 * i + 2, 0.6) for i in range(n - 1)]
    to_first = [(0, 2 * i, 0.5) for i in range(1, n)]
    pairs = candidates_of([*sure, *chain, *to_first])
    label = solve_groups(pairs, np.zeros(2 * n, np.uint8), frozenset(), certain=0.8).label
    assert set(label.tolist()) == {0}


def test_one_doubtful_pair_does_not_join_two_groups() -> None:
    sure = [(0, 1, 0.9), (2, 3, 0.9)]
    party_of = np.zeros(4, np.uint8)

    def groups_of(*doubtful: Pair) -> int:
        pairs = candidates_of([*sure, *doubtful])
        return len(set(solve_groups(pairs, party_of, frozenset(), certain=0.8).label.tolist()))

    assert groups_of((1, 2, 0.6)) == 2
    assert groups_of((1, 2, 0.6), (0, 3, 0.6)) == 1
    assert groups_of((1, 2, 0.8)) == 1
    # A record that is alone needs no more than its pair.
    alone = candidates_of([sure[0], (1, 2, 0.6)])
    label = solve_groups(alone, party_of, frozenset(), certain=0.8).label
    assert label.tolist() == [0, 0, 0, 3]


@given(problems())
def test_every_join_lies_inside_its_group_and_explains_it(problem: Problem) -> None:
    groups = solved(*problem)
    label = groups.label
    assert (label[groups.joined.left] == label[groups.joined.right]).all()
    assert len(groups.joined) == len(label) - len(set(label.tolist()))


@given(problems())
def test_pairs_in_groups_are_all_pairs_of_equal_label(problem: Problem) -> None:
    label = solved(*problem).label
    pairs = pairs_in_groups(label)
    got = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    expected = {(i, j) for i, j in combinations(range(len(label)), 2) if label[i] == label[j]}
    assert len(got) == len(expected)
    assert {(min(p), max(p)) for p in got} == expected
    assert (pairs.similarity == 0).all()


def test_no_pairs_leave_every_record_alone() -> None:
    groups = solved([0, 0, 1], [], frozenset({0, 1}))
    assert groups.label.tolist() == [0, 1, 2]
    assert len(groups.joined) == 0
    assert len(pairs_in_groups(groups.label)) == 0


def test_the_most_parties_that_a_group_can_have() -> None:
    pairs = [(0, i, 1.0) for i in range(1, 64)] + [(63, 64, 0.5)]
    groups = solved([*range(64), 63], pairs, single_parties("one-to-one", 64))
    assert groups.label.tolist() == [0] * 64 + [64]


def test_single_parties_by_cardinality() -> None:
    assert single_parties("one-to-one", 3) == {0, 1, 2}
    assert single_parties("one-to-many", 3) == {0}
    assert single_parties("many-to-many", 3) == frozenset()


# Links.

KEY = bytes(range(32))


def references_of(n: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def sure(label: NDArray[np.int32]) -> NDArray[np.uint8]:
    return np.full(len(label), MATCH, dtype=np.uint8)


def rows(references: bytes, ids: bytes, grades: bytes) -> list[tuple[bytes, bytes]]:
    assert len(references) == len(ids) == 16 * len(grades)
    return [(references[i : i + 16], ids[i : i + 16]) for i in range(0, len(ids), 16)]


@given(problems())
def test_link_ids_are_equal_at_both_parties_and_join_the_groups(problem: Problem) -> None:
    party_of, _, _ = problem
    label = solved(*problem).label
    references = references_of(len(label))
    parties = np.array(party_of, np.uint8)
    for pair in combinations(range(max(party_of) + 1), 2):
        left, right = (
            rows(*side)
            for side in links_of_pair(label, parties, references, sure(label), pair, KEY)
        )
        name_of = {references[i].tobytes(): i for i in range(len(label))}
        joined = {(name_of[a], name_of[b]) for a, one in left for b, other in right if one == other}
        expected = {
            (i, j)
            for i in range(len(label))
            for j in range(len(label))
            if (party_of[i], party_of[j]) == pair and label[i] == label[j]
        }
        assert joined == expected
        # Nothing but records with a counterpart is told, each once.
        assert sorted(name_of[a] for a, _ in left) == sorted({i for i, _ in expected})
        assert sorted(name_of[b] for b, _ in right) == sorted({j for _, j in expected})


@given(problems(), st.integers(0, 100))
def test_links_stand_in_the_order_of_references(problem: Problem, seed: int) -> None:
    party_of, _, _ = problem
    label = solved(*problem).label
    parties = np.array(party_of, np.uint8)
    for side in links_of_pair(
        label, parties, references_of(len(label), seed), sure(label), (0, 1), KEY
    ):
        own = [reference for reference, _ in rows(*side)]
        assert own == sorted(own)


LABEL = np.array([0, 1, 2, 0, 1, 5, 0, 1], np.int32)
PARTY = np.array([0, 0, 0, 1, 1, 1, 2, 2], np.uint8)
REFERENCES = references_of(8, 42)


def ids(pair: tuple[int, int] = (0, 1), key: bytes = KEY) -> dict[bytes, bytes]:
    return dict(rows(*links_of_pair(LABEL, PARTY, REFERENCES, sure(LABEL), pair, key)[0]))


def test_a_link_id_is_the_cut_hmac_of_the_groups_first_reference() -> None:
    for record in (0, 1):
        own = REFERENCES[record].tobytes()
        assert ids()[own] == hmac.new(KEY, own, hashlib.sha256).digest()[:16]
    assert LINK_ID_BYTES == 16


def test_another_key_gives_other_link_ids_for_the_same_records() -> None:
    one, other = ids(), ids(key=bytes(32))
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_another_pair_of_parties_with_its_own_key_gives_other_link_ids() -> None:
    # One record linked with two parties: the two of them cannot join what they got.
    one, other = ids((0, 1)), ids((0, 2), key=b"\7" * 32)
    assert set(one) & set(other)
    assert not set(one.values()) & set(other.values())


def test_link_ids_say_nothing_of_the_order_of_groups() -> None:
    own = sorted(ids().items())
    assert [reference for reference, _ in own] == list(ids())
    assert len(set(ids().values())) == 2


def test_a_group_of_several_records_has_one_link_id_at_each_party() -> None:
    label = np.array([0, 0, 0, 0], np.int32)
    party = np.array([0, 0, 1, 1], np.uint8)
    left, right = links_of_pair(label, party, references_of(4), sure(label), (0, 1), KEY)
    assert len({i for _, i in rows(*left)} | {i for _, i in rows(*right)}) == 1
    assert (len(left[1]), len(right[1])) == (32, 32)


def test_a_pair_without_links_gets_nothing() -> None:
    label, party = np.arange(4, dtype=np.int32), np.array([0, 0, 1, 1], np.uint8)
    assert links_of_pair(label, party, references_of(4), sure(label), (0, 1), KEY) == (
        (b"", b"", b""),
        (b"", b"", b""),
    )


@given(problems(), st.sampled_from([0.0, 0.5, 0.75, 1.0]))
def test_an_answer_says_whether_a_record_was_linked_and_how_surely(
    problem: Problem, sure_from: float
) -> None:
    party_of, _, _ = problem
    groups = solved(*problem)
    references = references_of(len(groups.label))
    parties = np.array(party_of, np.uint8)
    surely = groups.above(sure_from).label
    found = Solution(groups.label, surely)
    for own, other in permutations(range(max(party_of) + 1), 2):
        named, grades = answers_of(found, parties, references, own, [other])
        rows_of = {named[i : i + 16]: grades[i // 16] for i in range(0, len(named), 16)}
        assert list(rows_of) == sorted(rows_of)
        assert len(rows_of) == len(grades)
        for record in np.flatnonzero(parties == own):
            others = np.flatnonzero(parties == other)
            expected = (
                MATCH
                if (surely[others] == surely[record]).any()
                else UNDETERMINED
                if (groups.label[others] == groups.label[record]).any()
                else None
            )
            assert rows_of.get(references[record].tobytes()) == expected


@given(st.integers(1, 6), st.booleans(), st.integers(0, 3))
def test_an_answer_about_one_counterpart_reads_like_one_about_many(
    n: int, sure_ones: bool, n_unsure: int
) -> None:
    """What else a record was linked with, and how surely, changes no byte."""

    def answers(counterparts: list[float]) -> tuple[bytes, bytes]:
        size = 1 + len(counterparts)
        candidates = candidates_of([(0, i + 1, s) for i, s in enumerate(counterparts)])
        party_of = np.array([0] + [1] * len(counterparts), np.uint8)
        groups = solve_groups(candidates, party_of, frozenset())
        found = Solution(groups.label, groups.above(0.75).label)
        return answers_of(found, party_of, references_of(size, 7), 0, [1])

    best = 0.875 if sure_ones else 0.625
    assert answers([best]) == answers([best] * n + [0.5] * n_unsure)


def test_a_match_is_none_whose_support_was_doubtful() -> None:
    pairs = candidates_of([(0, 1, 0.999), (2, 3, 0.999), (1, 2, 0.96), (0, 3, 0.6)])
    party_of = np.zeros(4, np.uint8)
    found = solve_surely(pairs, party_of, 1, "many-to-many", 0.5, 0.99, 0.95)
    assert found.label.tolist() == [0, 0, 0, 0]
    assert found.surely.tolist() == [0, 0, 2, 2]
    assert grades_of(found.label, found.surely).tolist() == [UNDETERMINED] * 4
    # Without the doubtful pair they are two groups of which all is sure.
    apart = solve_surely(pairs, party_of, 1, "many-to-many", 0.95, 0.99, 0.95)
    assert apart.label.tolist() == [0, 0, 2, 2]
    assert grades_of(apart.label, apart.surely).tolist() == [MATCH] * 4
