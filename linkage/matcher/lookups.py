"""Lookups: who may ask, and what one code is answered.

Lookups that wait for one register share a scan of it: the first takes all that have come
meanwhile. A lookup is a question of membership, so nothing is answered that is not counted
before (`lookup_counts`), and whoever is not listed is told nothing, not even whether there
is such a register. Until parties sign grants, the list is the operator's, in the settings.
"""

import datetime
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

import numpy as np
import structlog

from linkage.block.index import Found
from linkage.block.sieve import Sieve, sieve_of, stranger_floor
from linkage.compare.bits import as_words
from linkage.errors import (
    DeniedError,
    LinkageError,
    MalformedMessageError,
    NotFoundError,
    UnavailableError,
)
from linkage.job import EXACT_TOKEN_BYTES, CodeId
from linkage.matcher.journal import Clock
from linkage.matcher.lookup_counts import LookupCounts, Route
from linkage.matcher.registers import RegisterName, Registers, Standing

METHOD_VERSION = "padan-lookup/1"
# Expected strangers in a register that pass by chance, at one lookup: above the first no
# code speaks for anybody, above the second it alone is a match.
_DOUBTFUL, _SURE = 1e-2, 1e-4
# Candidates that an answer is made of, and lookups that share a scan.
_CANDIDATES = 8
_TOGETHER = 16
# Lookups that wait; more would wait longer than their callers do.
_MOST_WAITING = 512
_PIECES_PER_THREAD = 2
_POLL_S = 0.2


class Grade(Enum):
    """What a lookup brought."""

    NO_MATCH = "no match"
    UNDETERMINED = "undetermined"
    MATCH = "match"


@dataclass(frozen=True)
class Question:
    """One code to be looked up.

    Attributes:
        agreement_id: under which agreement.
        register: whose register.
        codes: under what it was encoded.
        code: the packed code.
        exact: its exact tokens, in a row.
        exhaustive: whether every code is to be read whole.
    """

    agreement_id: str
    register: str
    codes: CodeId
    code: bytes
    exact: bytes
    exhaustive: bool = False


@dataclass(frozen=True)
class Answer:
    """What a question is answered.

    Attributes:
        grade: whether somebody is alike.
        sequence: one more with every answer under the agreement.
        revision: of the register.
        overlooked: probability that a record whose code alone is just a match was
            overlooked; less of one that is more alike.
    """

    grade: Grade
    sequence: int
    revision: int
    overlooked: float


@dataclass(frozen=True)
class _Terms:
    """How a register is asked: from where on a code is doubtful, and sure."""

    standing: Standing
    floor: float
    sure: float
    sieve: Sieve | None


@dataclass(frozen=True)
class _Waiting:
    route: Route
    question: Question
    answer: "Future[Answer]"

    @property
    def together(self) -> tuple[str, str, bool]:
        return self.question.agreement_id, self.question.register, self.question.exhaustive


class Lookups:
    """Answers the lookups of a matcher.

    Args:
        registers: what is looked up.
        counts: counts every lookup; its routes are those that may ask.
        routes: who may ask whose register.
        loss: highest probability that a record whose code is just a match is overlooked.
        threads: threads that scan.
        clock: the matcher's clock.
    """

    def __init__(
        self,
        registers: Registers,
        counts: LookupCounts,
        routes: Iterable[Route],
        *,
        loss: float,
        threads: int,
        clock: Clock,
    ) -> None:
        self._registers, self._counts = registers, counts
        self._routes = frozenset(routes)
        self._names = sorted(registers_of(self._routes))
        self._loss, self._threads, self._clock = loss, threads, clock
        self._terms: dict[RegisterName, _Terms] = {}
        self._loading = threading.Event()
        self._changing = threading.Lock()
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookups")
        self._log = structlog.get_logger("lookups")

    def start(self) -> None:
        """Bring the registers into memory, and answer, on a thread of its own."""
        if self._names:
            self._thread.start()

    @property
    def loaded(self) -> bool:
        """Whether all registers are in memory, or there are none."""
        return self._loading.is_set() or not self._names

    def stop(self) -> None:
        """Stop after the scan at hand; whoever waits is told to come again."""
        self._stopping.set()
        if self._names:
            self._thread.join()

    def ask(
        self, caller: str, question: Question, check_agreement: Callable[[], None]
    ) -> "Future[Answer]":
        """Take a question; the answer comes later.

        Args:
            caller: the party that asks.
            question: what it asks.
            check_agreement: raises if the agreement does not allow it now.

        Raises:
            DeniedError: the caller may not look this register up.
            UnavailableError: registers are being brought into memory, or too many wait.
            NotFoundError: the register is not there, or its day has come.
            SchemaMismatchError: encoded under another schema than the register.
            KeyMismatchError: encoded under another key than the register.
            MalformedMessageError: code or tokens have another length.
            QuotaExceededError: too many lookups in this minute.
        """
        route = Route(question.agreement_id, caller, question.register)
        if route not in self._routes:
            raise DeniedError(
                "NO_LOOKUP_GRANT",
                "this party may not look this register up under this agreement: the matcher's "
                "operator lists callers and registers under [[lookups]]",
            )
        if not self._loading.is_set() or self._stopping.is_set():
            raise UnavailableError("registers are being brought into memory: try again")
        if self._waiting.qsize() >= _MOST_WAITING:
            raise UnavailableError("too many lookups wait: try again later")
        terms = self._terms.get((question.agreement_id, question.register))
        try:
            if terms is None:
                raise NotFoundError(
                    "there is no such register now: its owner uploads it with 'padan lookup "
                    "register'"
                )
            _check(question, terms.standing.codes)
            check_agreement()
        except LinkageError:
            self._counts.refuse(route)
            raise
        self._counts.admit(route)
        waiting = _Waiting(route, question, Future())
        self._waiting.put(waiting)
        return waiting.answer

    def reload(self, name: RegisterName) -> None:
        """Bring a register up to date in memory.

        Raises:
            VerificationError: an artefact was changed on disk.
        """
        with self._changing:
            older = self._terms.get(name)
            standing = self._registers.load(name, older.standing if older else None)
            if standing is None:
                self._terms.pop(name, None)
                return
            self._terms[name] = _terms_of(standing, self._loss)
            self._log.info(
                "register in memory",
                agreement=name[0],
                register=name[1],
                revision=standing.revision,
                records=len(standing.index),
            )

    def forget_expired(self) -> None:
        """Drop the registers from memory whose last day is over."""
        today = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).date()
        for name, terms in list(self._terms.items()):
            if terms.standing.expires < today:
                self._terms.pop(name, None)

    def _run(self) -> None:
        for name in self._names:
            try:
                self.reload(name)
            except Exception as error:  # noqa: BLE001 -- of one register; the others answer
                self._log.error(
                    "register not in memory", register=name[1], error=type(error).__name__
                )
        self._loading.set()
        with ThreadPoolExecutor(self._threads, "scan") as pool:
            while not self._stopping.is_set():
                for group in self._taken():
                    self._answer(group, pool)
        while not self._waiting.empty():
            self._waiting.get().answer.set_exception(
                UnavailableError("the matcher is stopping: try again")
            )

    def _taken(self) -> list[list[_Waiting]]:
        """Return what waits, once something does, in groups that share a scan."""
        try:
            taken = [self._waiting.get(timeout=_POLL_S)]
        except queue.Empty:
            return []
        while len(taken) < _TOGETHER and not self._waiting.empty():
            taken.append(self._waiting.get())
        there = [one for one in taken if one.answer.set_running_or_notify_cancel()]
        there.sort(key=lambda one: one.together)
        return [list(group) for _, group in groupby(there, lambda one: one.together)]

    def _answer(self, group: list[_Waiting], pool: ThreadPoolExecutor) -> None:
        try:
            terms = self._terms.get(group[0].together[:2])
            if terms is None:
                raise NotFoundError("there is no such register now")
            for one in group:
                # Another upload may have come in between.
                _check(one.question, terms.standing.codes)
            # Before the scan: beside it, it would wait for a processor.
            numbers = self._counts.number([one.route for one in group])
            sieve = None if group[0].question.exhaustive else terms.sieve
            found = self._found(group, terms, sieve, pool)
            loss = sieve.loss if sieve else 0.0
            for one, number, best in zip(group, numbers, found, strict=True):
                grade = grade_of(best, terms.floor, terms.sure)
                one.answer.set_result(Answer(grade, number, terms.standing.revision, loss))
        except LinkageError as error:
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 -- the thread answers the others
            self._log.error("lookup failed", error=type(error).__name__)
            self._fail(group, UnavailableError("the lookup failed: try again"))

    def _found(
        self, group: list[_Waiting], terms: _Terms, sieve: Sieve | None, pool: ThreadPoolExecutor
    ) -> list[Found]:
        codes = terms.standing.codes
        code = np.frombuffer(b"".join(one.question.code for one in group), np.uint8)
        exact = np.frombuffer(b"".join(one.question.exact for one in group), np.uint8)
        return terms.standing.index.best(
            as_words(code.reshape(len(group), -1)),
            exact.reshape(len(group), codes.exact_slots, EXACT_TOKEN_BYTES),
            _CANDIDATES,
            terms.floor,
            sieve,
            spread=pool.map,
            parts=_PIECES_PER_THREAD * self._threads,
        )

    def _fail(self, group: list[_Waiting], error: LinkageError) -> None:
        for one in group:
            if not one.answer.done():
                one.answer.set_exception(error)


def grade_of(found: Found, floor: float, sure: float) -> Grade:
    """Return the grade of an answer.

    A code alone is a match from where on hardly any stranger reaches it; with an equal
    exact token from where on it does not contradict. A token alone may be a number that
    was borrowed or mistyped.

    Args:
        found: candidates, all of which reach the floor or share an exact token.
        floor: similarity from which on a code says something.
        sure: similarity from which on it is enough.
    """
    if not len(found):
        return Grade.NO_MATCH
    alone = found.similarity >= np.float32(sure)
    together = found.shared & (found.similarity >= np.float32(floor))
    return Grade.MATCH if (alone | together).any() else Grade.UNDETERMINED


def registers_of(routes: Iterable[Route]) -> frozenset[RegisterName]:
    """Return the registers that somebody may look up."""
    return frozenset((route.agreement_id, route.register) for route in routes)


def _terms_of(standing: Standing, loss: float) -> _Terms:
    bits, n = standing.codes.code_bits, len(standing.index)
    if not standing.codes.hardened:
        # What strangers' filters have in common follows from names, not from chance.
        return _Terms(standing, standing.threshold, standing.threshold, None)
    floor, sure = stranger_floor(bits, n, _DOUBTFUL), stranger_floor(bits, n, _SURE)
    sure = max(sure, standing.threshold)
    return _Terms(standing, floor, sure, sieve_of(bits, sure, loss))


def _check(question: Question, codes: CodeId) -> None:
    question.codes.check_same(codes, "the register")
    if (len(question.code), len(question.exact)) != (
        codes.code_bits // 8,
        codes.exact_slots * EXACT_TOKEN_BYTES,
    ):
        raise MalformedMessageError("the code or its exact tokens have another length")
