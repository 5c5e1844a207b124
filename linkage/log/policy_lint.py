"""Whether a quorum of witnesses is worth its name.

Two readers of a log see the same history only if any two quorums share a witness
that is honest. Of n witnesses f of which are dishonest that takes k > (n + f) / 2;
k = 1 + floor(2 n / 3) withstands the most. A smaller k looks like protection and is
none, so it is refused.

Source: Sigsum, "Witnesses and dishonest logs", November 2023 (the bound).
"""

from collections.abc import Sequence

from linkage.log.policy import NO_QUORUM, GroupLine, Policy


def least_threshold(n_members: int) -> int:
    """Return how many of n witnesses have to cosign at the least."""
    return 1 + 2 * n_members // 3


def lint_policy(policy: Policy, parties: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a trust file, one sentence each; nothing if it is sound.

    Args:
        policy: the trust file.
        parties: names of witnesses or groups without whose cosignature no checkpoint
            may count: the parties of an agreement.
    """
    if policy.quorum == NO_QUORUM:
        return ["the quorum is none: name the witnesses that have to cosign"]
    groups = {group.name: group for group in policy.groups}
    problems = []
    if _shared(policy.quorum, groups) == 0:
        problems.append(
            f"two quorums of {policy.quorum} can do without a common honest witness: "
            + "; ".join(_weak_groups(policy.quorum, groups))
        )
    everyone = frozenset(line.name for line in policy.witnesses)
    for party in parties:
        try:
            others = everyone - policy.witnesses_under(party)
        except ValueError as error:
            problems.append(str(error))
        else:
            if policy.quorum_met(others):
                problems.append(f"{policy.quorum} can be met without {party}: it has to be needed")
    return problems


def _shared(name: str, groups: dict[str, GroupLine]) -> int:
    """Return how many witnesses any two sets that meet `name` share; 0 if k is too small.

    Two sets of k of n members share at least 2 k - n of them, in the worst case
    those whose own sets share the least. No witness stands in two places, so the
    shared ones add up.
    """
    if name not in groups:
        return 1
    group = groups[name]
    n_members = len(group.members)
    if group.threshold < least_threshold(n_members):
        return 0
    least = sorted(_shared(member, groups) for member in group.members)
    return sum(least[: 2 * group.threshold - n_members])


def _weak_groups(name: str, groups: dict[str, GroupLine]) -> list[str]:
    """Return a clause for each group under `name` whose threshold is too small."""
    if name not in groups:
        return []
    group = groups[name]
    clauses = [clause for member in group.members for clause in _weak_groups(member, groups)]
    n_members = len(group.members)
    if group.threshold < least_threshold(n_members):
        clauses.append(
            f"{name} asks for {group.threshold} of {n_members}, and needs "
            f"{least_threshold(n_members)}"
        )
    return clauses
