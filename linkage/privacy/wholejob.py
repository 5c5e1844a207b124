"""A7: naming the records of a job from everything that the matcher sees of it.

The best case of a matcher gone bad: it holds plain registers of both parties, or of half of
their persons. The graph of the job is matched to that of the registers; where pairs are
known, the codes are read by the matched kernel, and what both say of a record is added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.gate import Outcome, rate_outcome
from linkage.privacy.jobgraph import JobGraph, match_jobs
from linkage.privacy.learner import correlated
from linkage.privacy.pairwise import signed_agreement
from linkage.privacy.people import PlainPeople
from linkage.privacy.rates import Rate

_LEAST = 0.95
KNOWN = (0, 20, 200)


@dataclass(frozen=True)
class AttackedJob:
    """A job, and what the attacker holds against it.

    Attributes:
        codes: codes of the left party, shape (n, n_words).
        graph: what is seen of its pairs.
        people: plain left records of the attacker.
        own: the attacker's own graph among his plain registers.
        person: whose left record each is, shape (n,).
        plain_person: likewise of the plain records, shape (m,).
    """

    codes: NDArray[np.uint64]
    graph: JobGraph
    people: PlainPeople
    own: JobGraph
    person: NDArray[np.int64]
    plain_person: NDArray[np.int64]


def attack_whole_job(
    setting: str, job: AttackedJob, control: AttackedJob, known: Sequence[int], seed: int
) -> Iterator[Outcome]:
    """Yield what is named without known pairs, and with some.

    Args:
        setting: what the attacker holds.
        job: the job under attack.
        control: the same job with textbook codes.
        known: numbers of known persons.
        seed: of the draw of these.
    """
    for n_known in known:
        found = _named(job, n_known, seed)
        # An attack that needs no code has no control but itself.
        broken = _named(control, n_known, seed) if n_known else found
        outcome = rate_outcome(
            "A7 whole job",
            f"{setting}, {n_known} known",
            found,
            broken,
            _LEAST if n_known else 0.0,
        )
        yield outcome


def _named(job: AttackedJob, n_known: int, seed: int) -> Rate:
    shared, rows, columns = np.intersect1d(job.person, job.plain_person, return_indices=True)
    order = np.random.default_rng(seed).permutation(len(shared))
    n_known = min(n_known, len(shared) // 2)
    known = rows[order[:n_known]], columns[order[:n_known]]
    asked = rows[order[n_known:]], columns[order[n_known:]]
    fit = match_jobs(job.graph, job.own, known)[asked[0]]
    if n_known:
        seen = signed_agreement(job.codes[asked[0]], job.codes[known[0]])
        expected = job.people.expected_agreement(job.people.take(known[1]))
        fit = _deviations(fit) + _deviations(correlated(seen, expected))
    fit[:, known[1]] = -np.inf
    best = fit.argmax(axis=1)
    return Rate(int((best == asked[1]).sum()), len(best), 1 / len(job.plain_person))


def _deviations(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return scores of candidates in deviations from the mean of a target."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    return np.asarray(centred / (centred.std(axis=1, keepdims=True) + 1e-9), dtype=np.float32)
