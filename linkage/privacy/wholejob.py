"""A7: naming people from everything that the matcher sees of a job.

The best case of a matcher gone bad: it holds registers in plain text, runs the same job
among them under keys of its own, and looks for what it gets in what it sees. Of a job of two
rounds it sees

- records: references of linked records, and which of them are linked in which band. The tags under
  which they open are random numbers, and so is what does not open;
- comparisons: how the fields of a pair compare and how many tickets it shares. Which record a
  comparison is of is not told.

Of a job of one round it sees which records share a token of which entry or slot. Of codes, which it
sees too, A1 to A5 are the attacks.

Records are named by matching the graphs of links, or of what is shared. Comparisons are named by
likeness: rare levels that agree count more. The control of two rounds is the same job told as if
each comparison were that of its records; that of one round is the job with block tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from linkage.privacy.jobgraph import JobGraph, Known, match_jobs
from linkage.privacy.outcome import Outcome, rate_outcome
from linkage.privacy.rates import Rate

_LEAST = 0.25
# A comparison may sort people into so many classes, 6 bits: who is named by it is the only one
# of his class, so that the rate falls as registers grow.
_MOST_CLASSES = 64
KNOWN = (0, 200)
# Comparisons that are held against all others at once.
_AT_ONCE = 1024


@dataclass(frozen=True)
class JobView:
    """What there is to see of a job, and what is told of it.

    Attributes:
        links: all that is told of references: of two rounds the linked records by band, of one
            round the pairs by what they share.
        told: the control: what the attack must read. Of two rounds pairs by the levels of their
            comparison, of one round by the block entries that they share.
        left: left record of each comparison of a likely pair, which is not told, shape (n,).
        features: its levels and number of tickets, shape (n, n_features); none of one round,
            where nothing is compared apart from its references.
    """

    links: JobGraph
    told: JobGraph
    left: NDArray[np.int32]
    features: NDArray[np.int64]


@dataclass(frozen=True)
class AttackedJob:
    """A job, and what the attacker holds against it.

    Attributes:
        seen: what the matcher sees.
        own: the same of the attacker's own job.
        person: whose left record each is, shape (n,).
        own_person: likewise of the attacker's left records, shape (m,).
        shared: persons that both registers of the attacker have, each once.
    """

    seen: JobView
    own: JobView
    person: NDArray[np.int64]
    own_person: NDArray[np.int64]
    shared: NDArray[np.int64]


def control_rate(job: AttackedJob, seed: int) -> Rate:
    """Return how many records are named if each comparison is told to be that of its records."""
    return _records_named(job, job.seen.told, job.own.told, 0, seed)


def attack_whole_job(
    setting: str,
    job: AttackedJob,
    known: Sequence[int],
    control: Rate,
    seed: int,
    *,
    knows_both: bool,
) -> Iterator[Outcome]:
    """Yield how many linked records are named, and of two rounds how many comparisons.

    Args:
        setting: what the attacker holds.
        job: the job under attack.
        known: numbers of linked records whose person is known.
        control: what the attack names where more is told.
        seed: of the draw of known records.
        knows_both: whether the attacker holds both registers. Then it could make the
            comparisons of its persons by itself, and to know one again tells it nothing: the
            figure has no limit.
    """
    for n_known in known:
        found = _records_named(job, job.seen.links, job.own.links, n_known, seed)
        what = f"{setting}, {n_known} known"
        yield rate_outcome("A7 linked records", what, found, control, _LEAST)
    if not job.seen.features.shape[1]:
        return
    rate = _comparisons_named(job, seed)
    compared = rate_outcome("A7 comparisons", setting, rate, control, _LEAST)
    limit = 1.0 if knows_both else max(rate.limit, _MOST_CLASSES / max(len(job.own_person), 1))
    # No bound: what an agreement limits is how many records are named.
    yield replace(compared, limit=limit, exceeded=rate.bound > limit, bound=None)


def _records_named(
    job: AttackedJob, seen: JobGraph, own: JobGraph, n_known: int, seed: int
) -> Rate:
    """Return how many records are named of those that are linked."""
    rng = np.random.default_rng(seed)
    linked = np.intersect1d(job.person[np.unique(job.seen.links.left)], job.shared)
    rows = _places(job.person, linked)
    columns = _places(job.own_person, linked)
    order = rng.permutation(len(linked))
    n_known = min(n_known, len(linked) // 2)
    known: Known = rows[order[:n_known]], columns[order[:n_known]]
    asked = rows[order[n_known:]], columns[order[n_known:]]
    fit = match_jobs(seen, own, known)[asked[0]]
    # Records that look alike are named at random, not by the order of the files.
    fit += 1e-6 * rng.random(fit.shape, dtype=np.float32)
    fit[:, known[1]] = -1
    hits = int((fit.argmax(axis=1) == asked[1]).sum())
    return Rate(hits, len(asked[0]), 1 / max(len(job.own_person), 1))


def _comparisons_named(job: AttackedJob, seed: int) -> Rate:
    """Return of how many comparisons of linked records the left person is named."""
    rng = np.random.default_rng(seed)
    theirs = np.flatnonzero(np.isin(job.person[job.seen.left], job.shared))
    seen, own = job.seen.features[theirs], job.own.features
    hits = 0
    for start in range(0, len(theirs), _AT_ONCE):
        part = seen[start : start + _AT_ONCE]
        fit = 1e-4 * rng.random((len(part), len(own)), dtype=np.float32)
        for feature in range(own.shape[1]):
            both = np.concatenate([seen[:, feature], own[:, feature]])
            counts = np.bincount(both) + 1
            weight = np.log(counts.sum() / counts).astype(np.float32)
            same = part[:, feature, None] == own[None, :, feature]
            fit += np.where(same, weight[part[:, feature], None], np.float32(-1))
        if len(own):
            named = job.own_person[job.own.left[fit.argmax(axis=1)]]
            whose = job.person[job.seen.left[theirs[start : start + _AT_ONCE]]]
            hits += int((named == whose).sum())
    return Rate(hits, len(theirs), 1 / max(len(job.own_person), 1))


def _places(persons: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row of each wanted person."""
    order = np.argsort(persons, kind="stable")
    places: NDArray[np.int64] = order[np.searchsorted(persons[order], wanted)]
    return places
