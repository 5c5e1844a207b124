"""Jobs of two rounds: tickets meet, owners are asked, answers scored, likely pairs named.

What the matcher has of a record before it is named are tickets that nothing connects, and
for those that met the comparison of fields. Likely pairs are named in bands of probability,
in an order that only their owners know: which comparison was whose it does not learn.
"""

import io
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.batch import QuestionKind
from linkage.block.met import met_pairs
from linkage.classify.levels import agreements
from linkage.compare.candidates import Candidates, concatenate
from linkage.engine.questions import Questions, Selection, sampled, select_questions
from linkage.engine.refinement import Comparison, bands_of, pairs_of_unlike
from linkage.errors import QuotaExceededError
from linkage.job import REFERENCE_BYTES, Job
from linkage.matcher.batches import read_tickets
from linkage.matcher.refinements import (
    Asked,
    Refinements,
    dataset_of,
    pairs_per_question,
    refinement_of,
)
from linkage.rpc.convert import manifest_from_bytes
from linkage.solve.counts import in_words
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import BatchRow, Metadata
from linkage.ticket import Tickets
from linkage.types import NEVER_TOLD

_NOTES, _BANDS = "notes", "bands"


@dataclass(frozen=True)
class Named:
    """The records that owners named, party by party in the order of the job.

    Attributes:
        sizes: number of records of each party.
        references: shape (n, 16).
        candidates: the likely pairs; record numbers count over all parties.
        notes: what a reader of the links must know.
        doubtful: whether the model doubts itself, so that nothing is sure.
    """

    sizes: list[int]
    references: NDArray[np.uint8]
    candidates: Candidates
    notes: tuple[str, ...]
    doubtful: bool


class TwoRounds:
    """The steps of jobs of two rounds.

    Args:
        metadata: the database.
        artefacts: where uploads, questions and answers are kept.
        refinements: asks the owners.
        max_pairs: most pairs of one job that may meet.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        refinements: Refinements,
        max_pairs: int,
    ) -> None:
        self._metadata, self._artefacts = metadata, artefacts
        self._refinements, self._max_pairs = refinements, max_pairs

    def n_tickets(self, job: Job) -> int:
        """Return how many tickets all parties uploaded."""
        batches = self._batches(job)
        return sum(sum(manifest_from_bytes(batch.manifest).n_tickets) for batch in batches)

    def meet(self, job: Job) -> int:
        """Let tickets meet and ask the owners for field rows; return how many pairs met.

        Raises:
            QuotaExceededError: more pairs met than this matcher takes.
            JobStateError: the job has ended.
        """
        batches, asked, notes, n_met = self._batches(job), list[Asked](), list[str](), 0
        for left, right in _pairs_of(job):
            selection = self._selected(job, batches, left, right)
            questions = selection.questions
            n_met += int((questions.pairs & ~questions.drawn).sum()) + selection.cut
            if n_met > self._max_pairs:
                raise QuotaExceededError(
                    f"more than {self._max_pairs:,} pairs of records share a block entry: link "
                    "fewer records, or agree on entries that tell more",
                    "TOO_MANY_CANDIDATES",
                )
            if selection.cut:
                # In tens: a party that is told nothing reads this, too.
                notes.append(
                    f"{in_words(selection.cut)} pairs of {job.spec.parties[left]} and "
                    f"{job.spec.parties[right]} were not compared: agree on more candidates"
                )
            self._write(job, _questions_name(left, right), _to_bytes(questions))
            asked += _asked(questions, left, right, pairs_per_question(job))
        self._write(job, _NOTES, json.dumps(notes).encode())
        self._refinements.ask(job, QuestionKind.FIELDS, asked)
        return n_met

    def score(self, job: Job) -> None:
        """Score the answers, and ask the owners who the likely pairs are.

        Raises:
            JobStateError: the job has ended.
        """
        comparison = Comparison(refinement_of(job))
        questions, levels = list[Questions](), list[NDArray[np.int8]]()
        for left, right in _pairs_of(job):
            of_pair = self._questions(job, left, right)
            questions.append(of_pair)
            levels += self._levels(job, comparison, of_pair, left, right)
        none = np.zeros((0, len(comparison.types)), np.int8)
        drawn = np.concatenate([q.drawn[q.pairs] for q in questions])
        n_pairs = pairs_of_unlike([batch_size(batch) for batch in self._batches(job)])
        model, scores = comparison.score(np.concatenate([none, *levels]), drawn, n_pairs)
        notes = [*json.loads(self._read(job, _NOTES)), *model.notes]
        asked, similarities, start = list[Asked](), list[list[float]](), 0
        told = [kind not in NEVER_TOLD for kind in comparison.types]
        steps = agreements(np.concatenate([none, *levels])[~drawn][:, told])
        for (left, right), of_pair in zip(_pairs_of(job), questions, strict=True):
            # Pairs by their numbers among the questions.
            met = np.flatnonzero(of_pair.pairs & ~of_pair.drawn)
            posterior = scores.posterior[start : start + len(met)]
            bands = [band for band in bands_of(posterior, job.spec.threshold) if len(band.pairs)]
            likely = np.concatenate([np.zeros(0, np.int64), *(band.pairs for band in bands)])
            for own, other, tickets in (
                (left, right, of_pair.left),
                (right, left, of_pair.right),
            ):
                if job.spec.told(job.spec.parties[own]).get(job.spec.parties[other]) == "R2":
                    rows = _compared_rows(job, tickets.at(met[likely]), steps[start + likely])
                    self._write(job, _compared_name(own, other), rows)
            start += len(met)
            similarities.append([band.similarity for band in bands])
            for own, other, tickets in (
                (left, right, of_pair.left),
                (right, left, of_pair.right),
            ):
                asked.append(Asked(own, other, [tickets.at(met[band.pairs]) for band in bands]))
        kept = {"notes": notes, "doubtful": bool(model.notes), "similarity": similarities}
        self._write(job, _BANDS, json.dumps(kept).encode())
        self._refinements.ask(job, QuestionKind.NAMES, asked)
        # What was compared is of no use any more, and nothing of it may lie beside the names.
        self._refinements.forget(job, QuestionKind.FIELDS)

    def named(self, job: Job) -> Named:
        """Return the likely pairs as their owners named them."""
        kept = json.loads(self._read(job, _BANDS))
        ends: list[list[NDArray[np.void]]] = [[] for _ in job.spec.parties]
        parts: list[tuple[int, int, NDArray[np.void], NDArray[np.void], float]] = []
        for (left, right), similarities in zip(_pairs_of(job), kept["similarity"], strict=True):
            for index, similarity in enumerate(similarities):
                own = self._named(job, left, right, index)
                other = self._named(job, right, left, index)
                both = (own != _NOBODY) & (other != _NOBODY)
                own, other = own[both], other[both]
                parts.append((left, right, own, other, similarity))
                ends[left].append(own)
                ends[right].append(other)
        # In the order of the references, so that a restart numbers records alike.
        records = [np.unique(np.concatenate([_NONE, *of_party])) for of_party in ends]
        first = [0, *itertools.accumulate(len(of_party) for of_party in records)]
        candidates = concatenate(
            Candidates(
                (np.searchsorted(records[left], own) + first[left]).astype(np.int32),
                (np.searchsorted(records[right], other) + first[right]).astype(np.int32),
                np.full(len(own), similarity, np.float32),
            )
            for left, right, own, other, similarity in parts
        )
        references = np.concatenate(records).view(np.uint8).reshape(-1, REFERENCE_BYTES)
        sizes = [len(of_party) for of_party in records]
        return Named(
            sizes, references, candidates.distinct(), tuple(kept["notes"]), kept["doubtful"]
        )

    def compared(self, job: Job, own: int, other: int) -> bytes:
        """Return what result level R2 tells an owner: how its likely pairs compare.

        The matcher does not know whose they are; the owner finds its records by the tickets.
        """
        return self._read(job, _compared_name(own, other))

    def forget(self, job: Job) -> None:
        """Remove what a job needed until its release, but its result."""
        self._refinements.forget(job)
        names = {_NOTES, _BANDS, *(_questions_name(*pair) for pair in _pairs_of(job))}
        names |= {_compared_name(*pair) for one in _pairs_of(job) for pair in (one, one[::-1])}
        for name in names & set(self._artefacts.names(dataset_of(job.job_id))):
            self._artefacts.remove(dataset_of(job.job_id), name)

    def _selected(self, job: Job, batches: list[BatchRow], left: int, right: int) -> Selection:
        # What is a decoy must not be foreseen by an owner.
        rng = np.random.default_rng(int.from_bytes(os.urandom(16), "big"))
        # A party's other parties are counted without itself.
        sides = (batches[left], right - 1), (batches[right], left)
        entries = range(job.spec.codes.block_entries)
        met = met_pairs(
            ((self._tickets(*sides[0], e), self._tickets(*sides[1], e)) for e in entries), rng
        )
        refinement = refinement_of(job)
        sizes = batch_size(batches[left]), batch_size(batches[right])
        pools = None
        if refinement.decoys:
            of_left, of_right = (
                self._sample(batch, of_party, entries, refinement.candidates * size, rng)
                for (batch, of_party), size in zip(sides, sizes, strict=True)
            )
            pools = of_left, of_right
        return select_questions(met, sizes, pools, refinement, rng)

    def _sample(
        self, batch: BatchRow, counterpart: int, entries: range, n: int, rng: np.random.Generator
    ) -> Tickets:
        """Return some tickets of a party, more than `n` by as many as may have met."""
        counts = manifest_from_bytes(batch.manifest).n_tickets
        total = sum(counts[counterpart * len(entries) : (counterpart + 1) * len(entries)])
        of_entries = (self._tickets(batch, counterpart, entry) for entry in entries)
        return sampled(of_entries, total, 2 * n, rng)

    def _tickets(self, batch: BatchRow, counterpart: int, entry: int) -> Tickets:
        return read_tickets(self._artefacts, batch, counterpart, entry)

    def _levels(
        self, job: Job, comparison: Comparison, questions: Questions, left: int, right: int
    ) -> Iterator[NDArray[np.int8]]:
        """Yield the comparison levels of the pairs that both owners were asked about."""
        for index, part in enumerate(_parts(questions, pairs_per_question(job))):
            of_left, of_right = questions.asks_left[part], questions.asks_right[part]
            both = of_left & of_right
            yield comparison.levels(
                self._refinements.rows(job, left, right, index)[both[of_left]],
                self._refinements.rows(job, right, left, index)[both[of_right]],
            )

    def _named(self, job: Job, own: int, other: int, index: int) -> NDArray[np.void]:
        return self._refinements.names(job, own, other, index).view(_NONE.dtype)[:, 0]

    def _questions(self, job: Job, left: int, right: int) -> Questions:
        with np.load(
            io.BytesIO(self._read(job, _questions_name(left, right))), allow_pickle=False
        ) as arrays:
            left_own, right_own = (
                Tickets(*(arrays[f"{side}_{part}"] for part in ("entry", "token", "mark")))
                for side in ("left", "right")
            )
            return Questions(
                left_own,
                right_own,
                arrays["asks_left"],
                arrays["asks_right"],
                arrays["drawn"],
                arrays["count"],
            )

    def _batches(self, job: Job) -> list[BatchRow]:
        with self._metadata.read() as transaction:
            batches = {batch.party: batch for batch in transaction.batches_of(job.job_id)}
        return [batches[party] for party in job.spec.parties]

    def _write(self, job: Job, name: str, content: bytes) -> None:
        self._artefacts.write(dataset_of(job.job_id), name, content)

    def _read(self, job: Job, name: str) -> bytes:
        return self._artefacts.read(dataset_of(job.job_id), name)


_NONE = np.zeros(0, dtype=f"V{REFERENCE_BYTES}")
_NOBODY = np.zeros(1, dtype=_NONE.dtype)[0]


def batch_size(batch: BatchRow) -> int:
    """Return the number of records of a batch."""
    return manifest_from_bytes(batch.manifest).n_records


def _pairs_of(job: Job) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(len(job.spec.parties)), 2))


def _parts(questions: Questions, step: int) -> list[slice]:
    return [slice(first, first + step) for first in range(0, len(questions), step)]


def _asked(questions: Questions, left: int, right: int, step: int) -> Iterator[Asked]:
    """Yield what each of two owners is asked, cut at the same pairs."""
    parts = _parts(questions, step)
    for own, other, tickets, asks in (
        (left, right, questions.left, questions.asks_left),
        (right, left, questions.right, questions.asks_right),
    ):
        yield Asked(own, other, [tickets.at(part).at(asks[part]) for part in parts])


def _compared_rows(job: Job, tickets: Tickets, steps: NDArray[np.int8]) -> bytes:
    """Return tickets with the steps of their pairs, in an order that says nothing."""
    packed = np.frombuffer(tickets.packed(job.spec.codes.block_bytes), np.uint8)
    rows = np.concatenate([packed.reshape(len(tickets), -1), steps.view(np.uint8)], axis=1)
    return rows[np.lexsort(rows.T[::-1])].tobytes()


def _compared_name(own: int, other: int) -> str:
    return f"compared-{own}-{other}"


def _questions_name(left: int, right: int) -> str:
    return f"questions-{left}-{right}"


def _to_bytes(questions: Questions) -> bytes:
    content = io.BytesIO()
    np.savez(
        content,
        left_entry=questions.left.entry,
        left_token=questions.left.token,
        left_mark=questions.left.mark,
        right_entry=questions.right.entry,
        right_token=questions.right.token,
        right_mark=questions.right.mark,
        asks_left=questions.asks_left,
        asks_right=questions.asks_right,
        drawn=questions.drawn,
        count=questions.count,
    )
    return content.getvalue()
