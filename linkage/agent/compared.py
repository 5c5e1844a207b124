"""How attributes compare (result level R2): rows of own tickets, joined to own records."""

from collections.abc import Sequence

import numpy as np

from linkage.agent.blocktokens import book_of, meetings
from linkage.agent.references import References
from linkage.agent.session import Session
from linkage.classify.levels import Agreement
from linkage.errors import DeniedError, MalformedMessageError, VerificationError
from linkage.job import REFERENCE_BYTES
from linkage.result import Part
from linkage.schema import LinkageSchema
from linkage.ticket import Tickets, ticket_bytes
from linkage.types import NEVER_TOLD

_WORDS = {step: step.name.lower() for step in Agreement}


class Compared:
    """Reads the comparisons of one job.

    The matcher does not know whose comparison is whose. It names each by the ticket that it
    asked about, and only the ticket's owner finds its record.

    Args:
        session: the agent at work.
        job_id: the job.
        parties: of the job, in its order.
        references: the own references.
    """

    def __init__(
        self, session: Session, job_id: str, parties: Sequence[str], references: References
    ) -> None:
        self._session, self._references = session, references
        party = session.config.party
        others = [name for name in parties if name != party]
        self._meetings = dict(zip(others, meetings(job_id, party, parties), strict=True))
        self._told = told_attributes(session.schema)

    @property
    def columns(self) -> list[str]:
        """The columns of a file: what stands in them, and of which attribute."""
        return [f"compared_{name}" for name in self._told]

    def read(self, part: Part) -> dict[bytes, list[dict[str, str]]]:
        """Return how the likely pairs of each own record compare, by its reference.

        Only records that were linked are there.

        Raises:
            VerificationError: a row is none, or about a record that is not ours.
        """
        token_bytes = self._session.codes.block_bytes
        width = 1 + ticket_bytes(token_bytes)
        content = np.frombuffer(part.comparisons, np.uint8)
        if len(content) % (width + len(self._told)):
            raise VerificationError("the result has comparisons that are none")
        rows = content.reshape(-1, width + len(self._told))
        own = self._references.everything()
        book = book_of(
            self._session.schema, self._session.key, self._meetings[part.counterpart], own
        )
        try:
            records = book.records(Tickets.unpacked(rows[:, :width].tobytes(), token_bytes))
            steps = [[_WORDS[Agreement(step)] for step in row] for row in rows[:, width:].tolist()]
        except (DeniedError, MalformedMessageError, ValueError) as error:
            raise VerificationError("the result has comparisons that are not ours") from error
        linked = {
            part.references[at : at + REFERENCE_BYTES]
            for at in range(0, len(part.references), REFERENCE_BYTES)
        }
        found: dict[bytes, list[dict[str, str]]] = {}
        for record, row in sorted(zip(records.tolist(), steps, strict=True)):
            reference = own[record * REFERENCE_BYTES : (record + 1) * REFERENCE_BYTES]
            if reference in linked:
                compared = dict(zip(self.columns, row, strict=True))
                found.setdefault(reference, []).append(compared)
        return found


def told_attributes(schema: LinkageSchema) -> list[str]:
    """Return the attributes of which a result may say how they compare, in its order."""
    compared = (*schema.fuzzy, *schema.identifiers)
    return [one.name for one in compared if one.type not in NEVER_TOLD]
