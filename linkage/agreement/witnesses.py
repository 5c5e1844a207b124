"""Whose cosignatures a release needs, and who stands in for a witness that is lost.

All parties of a job, or of a grant's agreement, cosign before anything is released. One that is
silent keeps it waiting, and is named when the job ends. One whose last key to cosign with was
revoked in the log cannot cosign until it has another: as many of the agreement's witnesses that are
no parties of the job stand in for it as the agreement says, and the log has both the loss and the
agreement. Who signs anyway stands in for nobody: where there are no others, all wait for a new key.

Under a checkpoint lines are judged by what the log said up to there: a key that came later is not
asked for, and one that was revoked later has signed. Else what was released once could not be
fetched any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from linkage.agreement.cosigners import has_cosigned, has_lost
from linkage.agreement.principals import Principal
from linkage.agreement.state import State
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import Note


@dataclass(frozen=True)
class Needed:
    """Who has to cosign.

    Attributes:
        needed: each of them.
        lost: those who cannot, and for whom the others stand in.
        others: witnesses of the agreement that may stand in: those that do not sign anyway.
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


def witnesses_needed(
    state: State, agreement_id: str, parties: Sequence[str], size: int | None = None
) -> Needed:
    """Return who has to cosign for some parties of an agreement.

    Args:
        state: what the log says.
        agreement_id: the agreement.
        parties: for whom something waits.
        size: by how many of its entries; if absent by all.
    """
    size = state.size if size is None else size
    lost = tuple(party for party in parties if has_lost(_party_at(state, party, size)))
    version = state.agreements.version_at(agreement_id, size)
    if not lost or version is None:
        return Needed(tuple(parties))
    agreed = version.agreement.witnesses
    outside = (name for name in agreed.names if name not in parties)
    return Needed(
        tuple(party for party in parties if party not in lost),
        lost,
        tuple(name for name in outside if not has_lost(_party_at(state, name, size))),
        agreed.replacement_quorum,
    )


def lines_missing(
    note: Note, state: State, agreement_id: str, parties: Sequence[str]
) -> tuple[str, ...]:
    """Return whose lines a checkpoint lacks, by what the log said under it; none where it is whole.

    Args:
        note: the checkpoint; that it is the log's is checked elsewhere.
        state: what the log says, at least up to the checkpoint.
        agreement_id: the agreement, which says who stands in.
        parties: who has to have cosigned.
    """
    size = parse_checkpoint(note.text).size
    needed = witnesses_needed(state, agreement_id, parties, size)
    # A key that was replaced since may have signed: that it was the party's is enough here.
    return needed.missing(lambda party: has_cosigned(note, _party_at(state, party, size)))


def _party_at(state: State, party: str, size: int) -> Principal | None:
    principal = state.principals.of_party(party)
    return principal.at(size) if principal is not None else None
