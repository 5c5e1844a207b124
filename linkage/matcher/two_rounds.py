"""Jobs of two rounds: tickets meet, owners are asked, answers scored, likely pairs named.

What the matcher has of a record before it is named are tickets that nothing connects, and
for those that met the comparison of fields. Likely pairs open in bands of probability, under
tags that only their owners can tell to be of a ticket: which comparison was whose the matcher
does not learn, and which of its pairs are likely no owner.
"""

import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.batch import QuestionKind
from linkage.block.met import met_pairs
from linkage.classify.levels import agreements
from linkage.compare.candidates import Candidates, concatenate
from linkage.engine.disclosure import Opened, open_pairs, share_out
from linkage.engine.questions import Questions, Selection, sampled, select_questions
from linkage.engine.refinement import (
    Comparison,
    band_numbers,
    band_similarities,
    pairs_of_unlike,
)
from linkage.errors import DeniedError, QuotaExceededError
from linkage.job import REFERENCE_BYTES, Job
from linkage.matcher.batches import read_tickets
from linkage.matcher.refinements import (
    Asked,
    Refinements,
    dataset_of,
    name_form,
    pairs_per_question,
    refinement_of,
)
from linkage.namerow import CHECK_KEY_BYTES, N_BANDS, NameForm, packed_steps, told_types
from linkage.rpc.convert import manifest_from_bytes
from linkage.solve.counts import in_words
from linkage.store.artefacts import ArtefactStore
from linkage.store.metadata import BatchRow, Metadata
from linkage.ticket import Tickets

_NOTES, _BANDS = "notes", "bands"


@dataclass(frozen=True)
class ComparedPairs:
    """How likely pairs of two parties compare, for those of them who are told (R2).

    Attributes:
        left: record numbers, over all parties, shape (n,).
        right: likewise, shape (n,).
        tag: of each pair, shape (n,).
        steps: how it compares, under masks that its owners know, shape (n, steps_bytes).
        key: of the steps' checks.
    """

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    tag: NDArray[np.uint64]
    steps: NDArray[np.uint8]
    key: bytes


@dataclass(frozen=True)
class Named:
    """The records of pairs that opened, party by party in the order of the job.

    Attributes:
        sizes: number of records of each party.
        references: shape (n, 16).
        candidates: the likely pairs; record numbers count over all parties.
        notes: what a reader of the links must know.
        doubtful: whether the model doubts itself, so that nothing is sure.
        closed: by left and right party, how many pairs should have opened, and did not by the
            rows of an owner.
        compared: by left and right party, for pairs of parties of which one is told R2.
    """

    sizes: list[int]
    references: NDArray[np.uint8]
    candidates: Candidates
    notes: tuple[str, ...]
    doubtful: bool
    closed: Mapping[tuple[str, str], int]
    compared: Mapping[tuple[int, int], ComparedPairs]


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
            asked += _asked(job, questions, left, right)
        self._write(job, _NOTES, json.dumps(notes).encode())
        self._refinements.ask(job, QuestionKind.FIELDS, asked)
        return n_met

    def score(self, job: Job) -> None:
        """Score the answers, and ask the owners who is who, so that likely pairs open.

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
        key = os.urandom(CHECK_KEY_BYTES)
        steps = agreements(np.concatenate([none, *levels])[~drawn][:, told_types(job.spec)])
        asked, dealt, start = list[Asked](), list[list[int]](), 0
        for (left, right), of_pair in zip(_pairs_of(job), questions, strict=True):
            # Pairs by their numbers among the questions.
            met = np.flatnonzero(of_pair.pairs & ~of_pair.drawn)
            those = slice(start, start + len(met))
            start += len(met)
            bands = np.zeros(len(of_pair), np.uint8)
            bands[met] = band_numbers(scores.posterior[those], job.spec.threshold)
            dealt.append(_of_bands(bands))
            form = name_form(job, left, right)
            packed = np.zeros((len(of_pair), form.steps_bytes), np.uint8)
            if form.steps_bytes:
                packed[met] = packed_steps(steps[those], key)
            # From the system: an owner that foresaw what the other one gets would know the bands.
            shares = share_out(bands, packed, os.urandom)
            asked += _shares_asked(job, of_pair, shares, left, right)
        kept = {
            "notes": [*json.loads(self._read(job, _NOTES)), *model.notes],
            "doubtful": bool(model.notes),
            "dealt": dealt,
            "key": key.hex(),
        }
        self._write(job, _BANDS, json.dumps(kept).encode())
        self._refinements.ask(job, QuestionKind.NAMES, asked)
        # What was compared is of no use any more, and nothing of it may lie beside the names.
        self._refinements.forget_rows(job)

    def named(self, job: Job) -> Named:
        """Return the likely pairs as the owners' rows open them.

        Raises:
            DeniedError: more open than were dealt, or one record more often than can be, or more
                records than a party has.
        """
        # A stop may have come between the last question for names and this.
        self._refinements.forget_rows(job)
        kept = json.loads(self._read(job, _BANDS))
        similarities = np.array(band_similarities(job.spec.threshold), np.float32)
        opened, closed = dict[tuple[int, int], Opened](), dict[tuple[str, str], int]()
        for pair, dealt in zip(_pairs_of(job), kept["dealt"], strict=True):
            opened[pair] = self._opened(job, *pair)
            parties = job.spec.parties[pair[0]], job.spec.parties[pair[1]]
            # By chance a word of 64 bits is not guessed.
            if any(n > most for n, most in zip(_of_bands(opened[pair].band), dealt, strict=True)):
                raise DeniedError(
                    "NAMES_NOT_DEALT",
                    f"more pairs of {' and '.join(parties)} opened than could: their agents have "
                    "not answered by the protocol",
                )
            closed[parties] = sum(dealt) - len(opened[pair])
            for party, references in zip(
                parties, (opened[pair].left, opened[pair].right), strict=True
            ):
                _check_tickets(job, party, references)
        ends: list[list[NDArray[np.void]]] = [[] for _ in job.spec.parties]
        for (left, right), of_pair in opened.items():
            ends[left].append(_as_keys(of_pair.left))
            ends[right].append(_as_keys(of_pair.right))
        # In the order of the references, so that a restart numbers records alike.
        records = [np.unique(np.concatenate([_NONE, *of_party])) for of_party in ends]
        for batch, of_party in zip(self._batches(job), records, strict=True):
            if len(of_party) > batch_size(batch):
                raise _impossible(batch.party, "more records than it uploaded")
        first = [0, *itertools.accumulate(len(of_party) for of_party in records)]
        candidates, compared = list[Candidates](), dict[tuple[int, int], ComparedPairs]()
        for (left, right), of_pair in opened.items():
            own, other = (
                (np.searchsorted(records[party], _as_keys(references)) + first[party]).astype(
                    np.int32
                )
                for party, references in ((left, of_pair.left), (right, of_pair.right))
            )
            candidates.append(Candidates(own, other, similarities[of_pair.band - 1]))
            if of_pair.steps.shape[1]:
                compared[left, right] = ComparedPairs(
                    own, other, of_pair.tag, of_pair.steps, bytes.fromhex(kept["key"])
                )
        return Named(
            sizes=[len(of_party) for of_party in records],
            references=np.concatenate(records).view(np.uint8).reshape(-1, REFERENCE_BYTES),
            candidates=concatenate(candidates).distinct(),
            notes=tuple(kept["notes"]),
            doubtful=kept["doubtful"],
            closed=closed,
            compared=compared,
        )

    def _opened(self, job: Job, left: int, right: int) -> Opened:
        """Return the pairs of two parties that open."""
        ours = self._refinements.names(job, left, right)
        theirs = self._refinements.names(job, right, left)
        return open_pairs(ours, theirs, name_form(job, left, right))

    def forget(self, job: Job) -> None:
        """Remove what a job needed until its release, but its result."""
        self._refinements.forget(job)
        names = {_NOTES, _BANDS, *(_questions_name(*pair) for pair in _pairs_of(job))}
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
        for index, part in enumerate(_parts(questions, job)):
            of_left, of_right = questions.asks_left[part], questions.asks_right[part]
            both = of_left & of_right
            yield comparison.levels(
                self._refinements.rows(job, left, right, index)[both[of_left]],
                self._refinements.rows(job, right, left, index)[both[of_right]],
            )

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


def batch_size(batch: BatchRow) -> int:
    """Return the number of records of a batch."""
    return manifest_from_bytes(batch.manifest).n_records


def comparisons_of(
    pairs: ComparedPairs,
    label: NDArray[np.int32],
    references: NDArray[np.uint8],
    of_left: bool,
) -> bytes:
    """Return what result level R2 tells one owner: how its linked pairs compare.

    Not how those do that the solver left out. In ascending order.

    Args:
        pairs: the likely pairs of the owner and one other.
        label: group of each record, shape (n,).
        references: of each record, shape (n, 16).
        of_left: whether the owner is the left one.
    """
    linked = np.flatnonzero(label[pairs.left] == label[pairs.right])
    rows = np.empty(len(linked), NameForm(pairs.steps.shape[1]).compared)
    rows["reference"] = references[(pairs.left if of_left else pairs.right)[linked]]
    rows["tag"], rows["steps"] = pairs.tag[linked], pairs.steps[linked]
    content = rows.view(np.uint8).reshape(len(rows), rows.itemsize)
    return pairs.key + content[np.lexsort(content.T[::-1])].tobytes()


def _check_tickets(job: Job, party: str, references: NDArray[np.uint8]) -> None:
    """Check that no record is named for more tickets about one counterpart than a record has.

    Nothing binds a reference to a ticket but its owner's word: it could bring all persons of the
    other one together under one of its own.

    Raises:
        DeniedError: one is.
    """
    of_record = np.unique(_as_keys(references), return_counts=True)[1]
    if of_record.max(initial=0) > job.spec.codes.block_entries * job.spec.codes.block_copies:
        raise _impossible(party, "a record for more tickets than a record has")


def _impossible(party: str, what: str) -> DeniedError:
    return DeniedError("NAMES_IMPOSSIBLE", f"the agent of {party} names {what}: ask the party")


def _of_bands(bands: NDArray[np.uint8]) -> list[int]:
    """Return how many pairs are of each band, from the first."""
    return [int(n) for n in np.bincount(bands, minlength=N_BANDS + 1)[1:]]


def _pairs_of(job: Job) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(len(job.spec.parties)), 2))


def _parts(questions: Questions, job: Job) -> list[slice]:
    step = pairs_per_question(job)
    return [slice(first, first + step) for first in range(0, len(questions), step)]


def _asked(job: Job, questions: Questions, left: int, right: int) -> Iterator[Asked]:
    """Yield about which tickets each of two owners is asked, cut at the same pairs."""
    width = job.spec.codes.block_bytes
    for own, other, tickets, asks in (
        (left, right, questions.left, questions.asks_left),
        (right, left, questions.right, questions.asks_right),
    ):
        parts = [tickets.at(part).at(asks[part]).packed(width) for part in _parts(questions, job)]
        yield Asked(own, other, int(asks.sum()), parts)


def _shares_asked(
    job: Job,
    questions: Questions,
    shares: tuple[NDArray[np.void], NDArray[np.void]],
    left: int,
    right: int,
) -> Iterator[Asked]:
    """Yield the shares of the tickets that each of two owners was asked about."""
    for own, other, of_owner, asks in (
        (left, right, shares[0], questions.asks_left & ~questions.drawn),
        (right, left, shares[1], questions.asks_right & ~questions.drawn),
    ):
        parts = [of_owner[part][asks[part]].tobytes() for part in _parts(questions, job)]
        yield Asked(own, other, int(asks.sum()), parts)


def _as_keys(references: NDArray[np.uint8]) -> NDArray[np.void]:
    return np.ascontiguousarray(references).view(_NONE.dtype).reshape(-1)


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
