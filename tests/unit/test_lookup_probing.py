"""Which lookups look like probing, and what follows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from linkage.agreement.usage import Grant
from linkage.matcher.probing import FEW_HITS, NEAR_EQUAL, Asked, Probing

START = datetime(2027, 3, 1, tzinfo=UTC)
WORDS = 64
ALIKE = 0.55


def grant(name: str = "g1", on_probing: str = "alarm", caller: str = "party/imigrasi") -> Grant:
    return Grant(
        name, "PKS-1", caller, "dukcapil", number=1_000, per_minute=60, valid_from=START,
        valid_until=START + timedelta(days=1), leaf=7, on_probing=on_probing,
    )  # fmt: skip


class Watch:
    """A watch, and the alarms that it raised."""

    def __init__(self) -> None:
        self.alarms: list[tuple[str, str]] = []
        self.probing = Probing(lambda of, sign: self.alarms.append((of.caller, sign)))
        self._draw = np.random.default_rng(7)

    def stranger(self) -> np.ndarray:
        return self._draw.integers(0, 2**64, WORDS, dtype=np.uint64)

    def ask(
        self, code: np.ndarray, hit: bool = True, exact: bytes = b"", under: Grant | None = None
    ) -> None:
        self.probing.watch(under or grant(), Asked(code, exact, hit), ALIKE)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_counter_raises_no_alarm(watch: Watch) -> None:
    for number in range(300):
        code = watch.stranger()
        watch.ask(code, hit=number % 10 != 0)
        if number % 10 == 0:  # spelled in another way, and found
            code[0] ^= np.uint64(1)
            watch.ask(code)
    assert watch.alarms == []


def test_few_hits_among_many_questions_are_told_once(watch: Watch) -> None:
    for number in range(49):
        watch.ask(watch.stranger(), hit=number < 4)
    assert watch.alarms == []
    for _ in range(20):
        watch.ask(watch.stranger(), hit=False)
    assert watch.alarms == [("party/imigrasi", FEW_HITS)]


def test_the_same_question_again_is_no_other(watch: Watch) -> None:
    code = watch.stranger()
    for _ in range(200):
        watch.ask(code, hit=False, exact=b"nik")
    assert watch.alarms == []


def test_variants_of_one_code_and_numbers_tried_out_are_told(watch: Watch) -> None:
    code = watch.stranger()
    for bit in range(17):
        changed = code.copy()
        changed[bit] ^= np.uint64(3)
        watch.ask(changed)
    assert watch.alarms == [("party/imigrasi", NEAR_EQUAL)]
    other = Watch()
    for number in range(17):
        other.ask(code, exact=number.to_bytes(16, "big"))
    assert other.alarms == [("party/imigrasi", NEAR_EQUAL)]


def test_an_alarm_is_raised_again_after_it_was_over(watch: Watch) -> None:
    for hits in (False, True, False):
        for _ in range(64):
            watch.ask(watch.stranger(), hit=hits)
    assert [sign for _, sign in watch.alarms] == [FEW_HITS, FEW_HITS]


def test_a_grant_is_suspended_where_it_says_so_and_another_is_no_new_beginning(
    watch: Watch,
) -> None:
    kind, strict = grant("g1"), grant("g2", "refuse")
    for _ in range(50):
        watch.ask(watch.stranger(), hit=False, under=kind)
    assert not watch.probing.suspends(kind)
    assert not watch.probing.suspends(strict)
    watch.ask(watch.stranger(), hit=False, under=strict)
    assert watch.probing.suspends(strict)
    assert not watch.probing.suspends(grant("g3", "refuse", "party/kemenlu"))
