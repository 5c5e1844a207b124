"""Results: kept encrypted, handed out to their owner with the proof that they were logged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from linkage.errors import DeniedError, JobStateError
from linkage.job import REFERENCE_BYTES, JobState
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.matcher.jobs import job_for
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.solve.links import LINK_ID_BYTES, Links
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata

LINKS_PER_MESSAGE = 16_384


@dataclass(frozen=True)
class Receipt:
    """What was logged about a result, and the proof of it.

    Attributes:
        leaf_index: where it stands in the log.
        leaf: the leaf, with a commitment.
        opening: opens the commitment.
        body: what it commits to.
        inclusion_proof: that the leaf is under the checkpoint.
        checkpoint: signed note.
    """

    leaf_index: int
    leaf: bytes
    opening: bytes
    body: bytes
    inclusion_proof: list[bytes]
    checkpoint: bytes


class Results:
    """The results of a matcher.

    Args:
        metadata: the database.
        artefacts: where results are kept.
        log: proves them.
        ledger: knows whether their agreements go on.
    """

    def __init__(
        self, metadata: Metadata, artefacts: ArtefactStore, log: MatchLog, ledger: Ledger
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._log, self._ledger = log, ledger

    def fetch(self, party: str, job_id: str) -> tuple[Receipt, list[Links]]:
        """Return a party's own links of a job, and the receipt.

        Raises:
            NotFoundError: the job is none of the party's, or its result was forgotten.
            JobStateError: nothing is released.
        """
        with self._metadata.read() as transaction:
            job = job_for(transaction, party, job_id)
            index = transaction.result_leaf(job_id)
            if job.state is not JobState.RELEASED or index is None:
                reason = f" ({job.reason_code}: {job.reason})" if job.reason else ""
                raise JobStateError(f"the job is {job.state.value}{reason}: there is no result")
            entry = transaction.entries(index, index + 1)[0]
            checkpoint = transaction.cosigned(job_id)
            standing = self._ledger.state(transaction).agreements.get(job.spec.agreement_id)
        if standing is None or standing.stopped is not None or standing.terminated is not None:
            raise DeniedError(
                "AGREEMENT_STOPPED", "the agreement was stopped or has ended: nothing is given out"
            )
        if checkpoint is None:
            raise JobStateError(
                "the matcher was made again after this job's release, and has its result no more: "
                "ask for the job again"
            )
        size = parse_checkpoint(parse_note(checkpoint).text).size
        receipt = Receipt(
            leaf_index=index,
            leaf=entry.leaf,
            opening=entry.opening or b"",
            body=entry.body or b"",
            inclusion_proof=self._log.inclusion_proof(index, size),
            checkpoint=checkpoint,
        )
        counterparts = [other for other in job.spec.parties if other != party]
        return receipt, read_results(self._artefacts, f"job-{job_id}", party, counterparts)


def write_results(artefacts: ArtefactStore, dataset: str, party: str, parts: list[Links]) -> None:
    """Keep all links of one party: for each counterpart references, link ids and grades."""
    for part in parts:
        name = _name(party, part.counterpart)
        artefacts.write(dataset, name, part.references + part.link_ids + part.grades)


def read_results(
    artefacts: ArtefactStore, dataset: str, party: str, counterparts: Sequence[str]
) -> list[Links]:
    """Return all links of one party, counterpart by counterpart."""
    parts = []
    for counterpart in counterparts:
        content = artefacts.read(dataset, _name(party, counterpart))
        n_links = len(content) // (REFERENCE_BYTES + LINK_ID_BYTES + 1)
        split, end = REFERENCE_BYTES * n_links, (REFERENCE_BYTES + LINK_ID_BYTES) * n_links
        parts.append(Links(counterpart, content[:split], content[split:end], content[end:]))
    return parts


def _name(party: str, counterpart: str) -> str:
    # No party has a full stop in its name, so no two pairs share a file.
    return f"links.{party}.{counterpart}"


def in_messages(part: Links) -> Iterator[Links]:
    """Cut links into pieces that fit a message."""
    for start in range(0, len(part), LINKS_PER_MESSAGE):
        end = start + LINKS_PER_MESSAGE
        yield Links(
            part.counterpart,
            part.references[REFERENCE_BYTES * start : REFERENCE_BYTES * end],
            part.link_ids[LINK_ID_BYTES * start : LINK_ID_BYTES * end],
            part.grades[start:end],
        )
