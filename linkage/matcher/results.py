"""Results: kept encrypted, handed out to their owner with the proof that they were logged."""

import os
from dataclasses import dataclass

from keys.identity import Identity
from linkage.errors import DeniedError, JobStateError, NotFoundError
from linkage.job import COORDINATOR, Job, JobState
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.matcher.jobs import job_for
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.result import SALT_BYTES, Part
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import Metadata, Transaction


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
        salt: goes into the digest in the body.
    """

    leaf_index: int
    leaf: bytes
    opening: bytes
    body: bytes
    inclusion_proof: list[bytes]
    checkpoint: bytes
    salt: bytes


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

    def fetch(self, who: Identity, job_id: str) -> tuple[Receipt, list[Part]]:
        """Return what a caller is told of a job, and the receipt.

        Args:
            who: who takes part in the job, for its party, or the coordinator.
            job_id: the job.

        Raises:
            NotFoundError: the job is none of the caller's, it is told nothing, or its result was
                forgotten.
            JobStateError: nothing is released.
        """
        party = COORDINATOR if who.role == "coordinator" else who.party
        with self._metadata.read() as transaction:
            job = _job_told(transaction, who, job_id)
            if not job.spec.told(party):
                raise NotFoundError("this job tells you nothing: it was asked for without a result")
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
            salt=self._artefacts.read(results_of(job_id), _salt_name(party)),
        )
        return receipt, read_results(
            self._artefacts, results_of(job_id), party, list(job.spec.told(party))
        )


def _job_told(transaction: Transaction, who: Identity, job_id: str) -> Job:
    """Return a job that a caller may be told of: the coordinator only one that tells it counts.

    Raises:
        NotFoundError: there is none.
    """
    if who.role != "coordinator":
        return job_for(transaction, who, job_id)
    job = transaction.job(job_id)
    if job is None or not job.spec.told(COORDINATOR):
        raise NotFoundError("no such job that tells the coordinator anything")
    return job


def results_of(job_id: str) -> str:
    """Return the name of the dataset of a job's results, which are kept longer than its work."""
    return f"result-{job_id}"


def write_results(
    artefacts: ArtefactStore, dataset: str, recipient: str, parts: list[Part]
) -> bytes:
    """Keep all that one recipient is told; return the salt of its digest.

    A result that was kept before a restart keeps its salt: what was logged of it stays true.
    """
    for part in parts:
        artefacts.write(dataset, _name(recipient, part.counterpart), part.to_bytes())
    if _salt_name(recipient) not in artefacts.names(dataset):
        artefacts.write(dataset, _salt_name(recipient), os.urandom(SALT_BYTES))
    return artefacts.read(dataset, _salt_name(recipient))


def read_results(
    artefacts: ArtefactStore, dataset: str, recipient: str, sources: list[str]
) -> list[Part]:
    """Return all that one recipient is told, source by source."""
    return [Part.from_bytes(artefacts.read(dataset, _name(recipient, name))) for name in sources]


def _name(recipient: str, source: str) -> str:
    # No party has a full stop in its name, so no two pairs share a file.
    return f"result.{recipient}.{source}"


def _salt_name(recipient: str) -> str:
    return f"salt.{recipient}"
