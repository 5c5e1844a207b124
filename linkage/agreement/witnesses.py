"""Whose cosignatures a release needs, and who stands in for a witness that is lost.

All parties of a job, or of a grant's agreement, cosign before anything is released. One that is
silent keeps it waiting, and is named when the job ends. One whose last key to cosign with was
revoked in the log cannot cosign until it has another: as many of the agreement's other witnesses
stand in for it as the agreement says, and the log has both the loss and the agreement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linkage.agreement.cosigners import has_lost
from linkage.agreement.state import State


@dataclass(frozen=True)
class Needed:
    """Who has to cosign.

    Attributes:
        needed: each of them.
        lost: those who cannot, and for whom the others stand in.
        others: witnesses of the agreement that may stand in.
        quorum: how many of them have to, where one is lost.
    """

    needed: tuple[str, ...]
    lost: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    quorum: int = 0

    def missing(self, has_signed: Callable[[str], bool]) -> tuple[str, ...]:
        """Return whose lines are still needed; none where there are enough.

        Args:
            has_signed: says whether there is a line of a party.
        """
        missing = tuple(party for party in self.needed if not has_signed(party))
        if not self.lost:
            return missing
        silent = tuple(party for party in self.others if not has_signed(party))
        if self.quorum and len(self.others) - len(silent) >= self.quorum:
            return missing
        # Others may be enough together; where all are not, only a new key helps.
        too_few = self.lost if not self.quorum or len(self.others) < self.quorum else ()
        return tuple(dict.fromkeys((*missing, *silent, *too_few)))


def witnesses_needed(state: State, agreement_id: str, parties: Sequence[str]) -> Needed:
    """Return who has to cosign for some parties of an agreement.

    Args:
        state: what the log says.
        agreement_id: the agreement.
        parties: for whom something waits.
    """
    lost = tuple(party for party in parties if has_lost(state.principals.of_party(party)))
    standing = state.agreements.get(agreement_id)
    if not lost or standing is None:
        return Needed(tuple(parties))
    agreed = standing.agreement.witnesses
    return Needed(
        tuple(party for party in parties if party not in lost),
        lost,
        tuple(name for name in agreed.names if name not in lost),
        agreed.replacement_quorum,
    )
