"""A7: naming the records of a job from everything that the matcher sees of it.

The best case of a matcher gone bad: it holds plain registers of both parties, or of half of
their persons. The graph of the job is matched to that of the registers; where pairs are
known, the codes are read by the matched kernel. The graph's answers count, the codes', or
of both the surer, whichever names most.
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
KNOWN = (0, 200)


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
    by_graph, sure = _answers(fit, known[1])
    answers = [by_graph]
    if n_known:
        seen = signed_agreement(job.codes[asked[0]], job.codes[known[0]])
        expected = job.people.expected_agreement(job.people.take(known[1]))
        by_codes, surer = _answers(correlated(seen, expected), known[1])
        answers += [by_codes, np.where(surer > sure, by_codes, by_graph)]
    # Which of them is best, an attacker sees from the persons that he knows.
    hits = max(int((answer == asked[1]).sum()) for answer in answers)
    return Rate(hits, len(asked[0]), 1 / len(job.plain_person))


def _answers(
    scores: NDArray[np.float32], known: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the best candidate of each target, and by how many deviations it leads.

    Args:
        scores: of all candidates, shape (n, m).
        known: candidates that are somebody else.
    """
    scores = np.delete(scores, known, axis=1)
    candidates = np.delete(np.arange(len(scores[0]) + len(known)), known)
    best = scores.argmax(axis=1)
    second, first = np.partition(scores, -2, axis=1)[:, -2:].T
    return candidates[best], (first - second) / (scores.std(axis=1) + np.float32(1e-9))
