"""Lookups: what one code is answered.

Lookups that wait for one register share a scan of it: the first takes all that have come
meanwhile. A lookup is a question of membership, so nothing is answered that is not counted
before (`lookup_counts`), and whoever has no grant (`lookup_admission`) is told nothing, not
even whether there is such a register. Every answer is signed.
"""

import datetime
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import structlog

from keys.dsse import pae
from linkage.block.index import Found
from linkage.block.sieve import Sieve, sieve_of, stranger_floor
from linkage.compare.bits import as_words
from linkage.errors import LinkageError, NotFoundError, UnavailableError
from linkage.job import EXACT_TOKEN_BYTES
from linkage.log.note import Signer
from linkage.lookup import ANSWER_TYPE, Answer, Grade, LookupQuestion
from linkage.matcher.journal import Clock
from linkage.matcher.lookup_admission import LookupAdmission
from linkage.matcher.lookup_counts import Admitted, LookupCounts
from linkage.matcher.probing import Asked, Probing
from linkage.matcher.registers import RegisterName, Registers, Standing
from linkage.rpc.peer import Peer

METHOD_VERSION = "padan-lookup/2"
# Expected strangers in a register that pass by chance, at one lookup: above the first no
# code speaks for anybody, above the second it alone is a match.
_DOUBTFUL, _SURE = 1e-2, 1e-4
# Candidates that an answer is made of, and lookups that share a scan.
_CANDIDATES = 8
_TOGETHER = 16
# Lookups that wait; more would wait longer than their callers do.
_MOST_WAITING = 512
_PIECES_PER_THREAD = 4
_POLL_S = 0.2


@dataclass(frozen=True)
class SignedAnswer:
    """An answer with the matcher's signature.

    Attributes:
        answer: what the question is answered.
        signature: over `Answer.to_bytes`, as a payload of `ANSWER_TYPE`.
    """

    answer: Answer
    signature: bytes


@dataclass(frozen=True)
class _Terms:
    """How a register is asked: from where on a code is doubtful, and sure."""

    standing: Standing
    floor: float
    sure: float
    sieve: Sieve | None


@dataclass(frozen=True)
class _Waiting:
    admitted: Admitted
    question: LookupQuestion
    answer: "Future[SignedAnswer]"

    @property
    def together(self) -> tuple[str, str, bool]:
        return self.question.agreement_id, self.question.register, self.question.exhaustive


class Lookups:
    """Answers the lookups of a matcher.

    Args:
        registers: what is looked up.
        admission: says which lookups are answered.
        counts: counts every lookup.
        probing: watches what is asked.
        signer: the log's key, which signs answers.
        loss: highest probability that a record whose code is just a match is overlooked.
        threads: threads that scan.
        clock: the matcher's clock.
    """

    def __init__(
        self,
        registers: Registers,
        admission: LookupAdmission,
        counts: LookupCounts,
        probing: Probing,
        signer: Signer,
        *,
        loss: float,
        threads: int,
        clock: Clock,
    ) -> None:
        self._registers, self._admission, self._counts = registers, admission, counts
        self._probing, self._signer = probing, signer
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
        self._thread.start()

    @property
    def loaded(self) -> bool:
        """Whether all registers are in memory."""
        return self._loading.is_set()

    def stop(self) -> None:
        """Stop after the scan at hand; whoever waits is told to come again."""
        self._stopping.set()
        self._thread.join()

    def ask(self, peer: Peer, question: LookupQuestion, request: bytes) -> "Future[SignedAnswer]":
        """Take a question; the answer comes later.

        Args:
            peer: who asks.
            question: what it asks.
            request: the envelope that it signed.

        Raises:
            UnavailableError: registers are being brought into memory, or too many wait.
            DeniedError: the caller may not look this register up.
            NotFoundError: the register is not there, or its day has come.
            SchemaMismatchError: encoded under another schema than the register.
            KeyMismatchError: encoded under another key than the register.
            MalformedMessageError: code or tokens have another length.
            QuotaExceededError: too many lookups in this minute.
        """
        if not self._loading.is_set() or self._stopping.is_set():
            raise UnavailableError("registers are being brought into memory: try again")
        if self._waiting.qsize() >= _MOST_WAITING:
            raise UnavailableError("too many lookups wait: try again later")

        def check() -> None:
            terms = self._terms.get((question.agreement_id, question.register))
            if terms is None:
                raise NotFoundError(
                    "there is no such register now: its owner uploads it with 'padan lookup "
                    "register'"
                )
            question.check(terms.standing.codes)

        admitted = self._admission.admit(peer, question, request, check)
        waiting = _Waiting(admitted, question, Future())
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
            terms = _terms_of(standing, self._loss)
            _warm_up(terms)
            self._terms[name] = terms
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
        for name in self._registers.names():
            try:
                self.reload(name)
            except Exception as error:  # noqa: BLE001 -- of one register; the others answer
                self._log.error(
                    "register not in memory", register=name[1], error=type(error).__name__
                )
        self._loading.set()
        # One thread more, which counts.
        with ThreadPoolExecutor(self._threads + 1, "scan") as pool:
            while not self._stopping.is_set():
                for group in self._taken():
                    self._answer(group, pool)
        while not self._waiting.empty():
            waiting = self._waiting.get()
            self._counts.release([waiting.admitted.grant.id])
            waiting.answer.set_exception(UnavailableError("the matcher is stopping: try again"))

    def _taken(self) -> list[list[_Waiting]]:
        """Return what waits, once something does, in groups that share a scan."""
        try:
            taken = [self._waiting.get(timeout=_POLL_S)]
        except queue.Empty:
            return []
        while len(taken) < _TOGETHER and not self._waiting.empty():
            taken.append(self._waiting.get())
        there = [one for one in taken if one.answer.set_running_or_notify_cancel()]
        gone = [one.admitted.grant.id for one in taken if one.answer.cancelled()]
        self._counts.release(gone)
        there.sort(key=lambda one: one.together)
        return [list(group) for _, group in groupby(there, lambda one: one.together)]

    def _answer(self, group: list[_Waiting], pool: ThreadPoolExecutor) -> None:
        numbers: list[int] = []
        try:
            terms = self._terms.get(group[0].together[:2])
            if terms is None:
                raise NotFoundError("there is no such register now")
            for one in group:
                # Another upload may have come in between.
                one.question.check(terms.standing.codes)
            sieve = None if group[0].question.exhaustive else terms.sieve
            # Beside the scan, for most of it is waiting for the disk; an answer needs both.
            counting = pool.submit(self._counts.number, [one.admitted for one in group])
            try:
                found = self._found(group, terms, sieve, pool)
            finally:
                numbers = counting.result()
            loss = sieve.loss if sieve else 0.0
            grades = [grade_of(best, terms.floor, terms.sure) for best in found]
            for one, number, grade in zip(group, numbers, grades, strict=True):
                grant, revision = one.admitted.grant.id, terms.standing.revision
                answer = Answer(grade, grant, number, revision, loss, METHOD_VERSION)
                one.answer.set_result(SignedAnswer(answer, self._signed(answer, one)))
            for one, grade in zip(group, grades, strict=True):
                code = np.frombuffer(one.question.code, np.uint64)
                asked = Asked(code, one.question.exact, grade is Grade.MATCH)
                self._probing.watch(one.admitted.grant, asked, terms.sure)
        except LinkageError as error:
            self._fail(group, numbers, error)
        except Exception as error:  # noqa: BLE001 -- the thread answers the others
            self._log.error("lookup failed", error=type(error).__name__)
            self._fail(group, numbers, UnavailableError("the lookup failed: try again"))

    def _signed(self, answer: Answer, one: _Waiting) -> bytes:
        payload = answer.to_bytes(self._signer.key.name, one.admitted.digest)
        return self._signer.sign(pae(ANSWER_TYPE, payload))

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

    def _fail(self, group: list[_Waiting], numbers: list[int], error: LinkageError) -> None:
        if not numbers:
            self._counts.release([one.admitted.grant.id for one in group])
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


def _warm_up(terms: _Terms) -> None:
    """Look nobody up: the first scan compiles what it runs, for longer than callers wait."""
    codes = terms.standing.codes
    code = as_words(np.zeros((1, codes.code_bits // 8), dtype=np.uint8))
    exact = np.zeros((1, codes.exact_slots, EXACT_TOKEN_BYTES), dtype=np.uint8)
    for sieve in (terms.sieve, None):
        terms.standing.index.best(code, exact, _CANDIDATES, terms.floor, sieve)


def _terms_of(standing: Standing, loss: float) -> _Terms:
    bits, n = standing.codes.code_bits, len(standing.index)
    if not standing.codes.hardened:
        # What strangers' filters have in common follows from names, not from chance.
        return _Terms(standing, standing.threshold, standing.threshold, None)
    floor, sure = stranger_floor(bits, n, _DOUBTFUL), stranger_floor(bits, n, _SURE)
    sure = max(sure, standing.threshold)
    return _Terms(standing, floor, sure, sieve_of(bits, sure, loss))
