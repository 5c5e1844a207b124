"""Lookups go before uploads, and do not stop them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from linkage.matcher import precedence
from linkage.matcher.precedence import Precedence


class Pieces:
    """Pieces of uploads that are stored until they are told to end."""

    def __init__(self, before: Precedence, n: int) -> None:
        self._before, self.stored, self.most = before, 0, 0
        self._at_once, self.end = 0, asyncio.Event()
        self.tasks = [asyncio.create_task(self._store()) for _ in range(n)]

    async def _store(self) -> None:
        async with self._before.piece():
            self._at_once += 1
            self.most = max(self.most, self._at_once)
            await self.end.wait()
            self._at_once -= 1
            self.stored += 1


async def settled() -> None:
    """Let all that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(steps: Callable[[], Awaitable[Any]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await steps()

    asyncio.run(bounded())


def test_a_few_pieces_are_stored_at_once_where_nobody_looks_up() -> None:
    async def steps() -> None:
        pieces = Pieces(Precedence(), 9)
        await settled()
        assert pieces.most == 4
        pieces.end.set()
        await asyncio.gather(*pieces.tasks)
        assert (pieces.stored, pieces.most) == (9, 4)

    run(steps)


def test_no_piece_begins_while_a_lookup_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "_LONGEST_S", 1e6)

    async def steps() -> None:
        before = Precedence(lambda: 0.0)
        answers: list[asyncio.Future[None]] = [asyncio.Future() for _ in range(2)]
        for answer in answers:
            before.lookup(answer)
        pieces = Pieces(before, 3)
        answers[0].set_result(None)
        await settled()
        assert pieces.most == 0
        answers[1].cancel()  # given up by its caller
        pieces.end.set()
        await asyncio.gather(*pieces.tasks)
        # One at a time: the clock stands still, and another lookup is expected.
        assert (pieces.stored, pieces.most) == (3, 1)

    run(steps)


def test_lookups_without_end_do_not_stop_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "_LONGEST_S", 0.001)

    async def steps() -> None:
        before = Precedence()
        before.lookup(asyncio.Future())
        pieces = Pieces(before, 3)
        pieces.end.set()
        await asyncio.gather(*pieces.tasks)
        assert (pieces.stored, pieces.most) == (3, 1)

    run(steps)


def test_uploads_are_as_before_some_time_after_the_last_lookup() -> None:
    async def steps() -> None:
        now = [0.0]
        before, answer = Precedence(lambda: now[0]), asyncio.Future[None]()
        before.lookup(answer)
        answer.set_result(None)
        await settled()
        now[0] = 5.0
        pieces = Pieces(before, 5)
        await settled()
        assert pieces.most == 4
        pieces.end.set()
        await asyncio.gather(*pieces.tasks)

    run(steps)


def test_a_piece_that_is_given_up_gives_its_place_back() -> None:
    async def steps() -> None:
        before = Precedence(lambda: 0.0)
        answer: asyncio.Future[None] = asyncio.Future()
        before.lookup(answer)
        given_up = Pieces(before, 2)
        await settled()
        for task in given_up.tasks:
            task.cancel()
        await asyncio.gather(*given_up.tasks, return_exceptions=True)
        answer.set_result(None)
        pieces = Pieces(before, 2)
        pieces.end.set()
        await asyncio.gather(*pieces.tasks)
        assert pieces.stored == 2

    run(steps)
