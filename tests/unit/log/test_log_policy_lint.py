"""A quorum too weak to prevent a split view is refused by name."""

import itertools

import pytest

from linkage.log.policy import GroupLine, LogLine, Policy, WitnessLine
from linkage.log.policy_lint import least_threshold, lint_policy
from linkage.log.vkey import VerifierKey

LOG = LogLine(VerifierKey("log.test/a", 1, bytes(32)))


def policy(n_witnesses: int, *groups: GroupLine, quorum: str) -> Policy:
    witnesses = tuple(
        WitnessLine(f"w{i}", VerifierKey(f"w{i}", 4, bytes([i + 1]) * 32))
        for i in range(n_witnesses)
    )
    return Policy((LOG,), witnesses, groups, quorum)


def names(n: int) -> tuple[str, ...]:
    return tuple(f"w{i}" for i in range(n))


def test_the_published_thresholds() -> None:
    published = {2: 2, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5, 8: 6, 9: 7, 10: 7}
    assert {n: least_threshold(n) for n in published} == published


@pytest.mark.parametrize("n", range(1, 8))
def test_a_flat_group_needs_the_published_threshold(n: int) -> None:
    for k in range(1, n + 1):
        problems = lint_policy(policy(n, GroupLine("g", k, names(n)), quorum="g"))
        assert bool(problems) == (k < least_threshold(n))
        if problems:
            assert f"g asks for {k} of {n}, and needs {least_threshold(n)}" in problems[0]


def test_no_quorum_is_refused_and_one_witness_is_not() -> None:
    assert "the quorum is none" in lint_policy(policy(1, quorum="none"))[0]
    assert lint_policy(policy(1, quorum="w0")) == []


def test_two_weak_groups_are_weak_together_and_a_sound_one_carries_a_weak_one() -> None:
    x, y = GroupLine("x", 2, ("w0", "w1", "w2")), GroupLine("y", 1, ("w3", "w4"))
    weak = policy(5, x, y, GroupLine("both", 2, ("x", "y")), quorum="both")
    assert "x asks for 2 of 3, and needs 3; y asks for 1 of 2" in lint_policy(weak)[0]
    x = GroupLine("x", 3, ("w0", "w1", "w2"))
    assert lint_policy(policy(5, x, y, GroupLine("both", 2, ("x", "y")), quorum="both")) == []
    either = policy(5, x, y, GroupLine("any", 1, ("x", "y")), quorum="any")
    assert "any asks for 1 of 2" in lint_policy(either)[0]


def test_every_sound_policy_has_quorums_that_meet() -> None:
    """By trial: all pairs of quorums of all small two-level policies share a witness."""
    for k1, k2, k in itertools.product(range(1, 4), range(1, 3), range(1, 3)):
        groups = (
            GroupLine("x", k1, ("w0", "w1", "w2")),
            GroupLine("y", k2, ("w3", "w4")),
            GroupLine("q", k, ("x", "y")),
        )
        tried = policy(5, *groups, quorum="q")
        quorums = [
            set(chosen)
            for n in range(6)
            for chosen in itertools.combinations(names(5), n)
            if tried.quorum_met(frozenset(chosen))
        ]
        if not lint_policy(tried):
            assert all(a & b for a in quorums for b in quorums)


def test_the_parties_of_an_agreement_have_to_be_needed() -> None:
    pair = GroupLine("dukcapil", 2, ("w0", "w1"))
    rest = GroupLine("q", 3, ("dukcapil", "w2", "w3", "w4"))
    tried = policy(5, pair, rest, quorum="q")
    assert lint_policy(tried) == []
    assert lint_policy(tried, ["dukcapil", "w2"]) == [
        "q can be met without dukcapil: it has to be needed",
        "q can be met without w2: it has to be needed",
    ]
    strict = policy(5, pair, GroupLine("q", 4, rest.members), quorum="q")
    assert lint_policy(strict, ["dukcapil", "w2"]) == []
    assert lint_policy(strict, ["imigrasi"]) == ["no witness or group imigrasi in the trust file"]


def test_who_is_missing() -> None:
    pair = GroupLine("dukcapil", 2, ("w0", "w1"))
    tried = policy(5, pair, GroupLine("q", 3, ("dukcapil", "w2", "w3", "w4")), quorum="q")
    assert tried.missing(frozenset()) == frozenset(names(5))
    assert tried.missing(frozenset({"w0", "w2"})) == {"w1", "w3", "w4"}
    assert tried.missing(frozenset({"w2", "w3", "w4"})) == frozenset()
    assert tried.witnesses_under("q") == frozenset(names(5))
    assert tried.met_by({"w0", "w1"}) == {"none", "w0", "w1", "dukcapil"}
    with pytest.raises(ValueError, match="no witness or group"):
        tried.witnesses_under("x")
