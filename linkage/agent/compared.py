"""How attributes compare (result level R2): rows about own records, unmasked."""

from collections.abc import Sequence

import numpy as np

from linkage.agent.blocktokens import meetings, name_keys
from linkage.agent.session import Session
from linkage.classify.levels import Agreement
from linkage.errors import VerificationError
from linkage.job import REFERENCE_BYTES
from linkage.namerow import CHECK_KEY_BYTES, NameForm, unpacked_steps
from linkage.result import Part
from linkage.schema import LinkageSchema
from linkage.types import NEVER_TOLD

_WORDS = {step: step.name.lower() for step in Agreement}


class Compared:
    """Reads the comparisons of one job.

    The matcher has them under masks of the two owners, which take them off.

    Args:
        session: the agent at work.
        job_id: the job.
        parties: of the job, in its order.

    Attributes:
        notes: what a reader must know of the comparisons that were read.
    """

    def __init__(self, session: Session, job_id: str, parties: Sequence[str]) -> None:
        self._key = session.key
        party = session.config.party
        others = [name for name in parties if name != party]
        self._meetings = dict(zip(others, meetings(job_id, party, parties), strict=True))
        self._told = told_attributes(session.schema)
        self.notes: list[str] = []

    @property
    def columns(self) -> list[str]:
        """The columns of a file: what stands in them, and of which attribute."""
        return [f"compared_{name}" for name in self._told]

    def read(self, part: Part) -> dict[bytes, list[dict[str, str]]]:
        """Return how the linked pairs of each own record compare, by its reference.

        Of a pair whose comparison the other owner has spoilt nothing is told, and a note says so.

        Raises:
            VerificationError: a row is none, or about a record that was not linked.
        """
        key, content = part.comparisons[:CHECK_KEY_BYTES], part.comparisons[CHECK_KEY_BYTES:]
        form = NameForm.of_steps(len(self._told)).compared
        if len(key) != CHECK_KEY_BYTES or len(content) % form.itemsize:
            raise VerificationError("the result has comparisons that are none")
        rows = np.frombuffer(content, dtype=form)
        linked = {
            part.references[at : at + REFERENCE_BYTES]
            for at in range(0, len(part.references), REFERENCE_BYTES)
        }
        references = [reference.tobytes() for reference in rows["reference"]]
        if not linked.issuperset(references):
            raise VerificationError("the result has comparisons that are not ours")
        keys = name_keys(self._key, self._meetings[part.counterpart])
        packed = keys.steps(rows["tag"].astype(np.uint64), rows["steps"])
        steps, whole = unpacked_steps(packed, len(self._told), key)
        if not whole.all():
            self.notes.append(
                f"of {int((~whole).sum())} pairs with {part.counterpart} it is not told how they "
                "compare: it was changed on its way by its agent or by the matcher: ask both"
            )
        found: dict[bytes, list[dict[str, str]]] = {}
        words = [
            [_WORDS[Agreement(step)] for step in row] if valid else []
            for row, valid in zip(steps.tolist(), whole.tolist(), strict=True)
        ]
        for reference, row in sorted(zip(references, words, strict=True)):
            # Without words for a pair whose check is wrong.
            found.setdefault(reference, []).append(dict(zip(self.columns, row, strict=bool(row))))
        return found


def told_attributes(schema: LinkageSchema) -> list[str]:
    """Return the attributes of which a result may say how they compare, in its order."""
    compared = (*schema.fuzzy, *schema.identifiers)
    return [one.name for one in compared if one.type not in NEVER_TOLD]
