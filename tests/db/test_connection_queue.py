"""Whose turn it is, and how long the next to come would wait."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import URL, text

from db.connection_queue import BURST_SECONDS, ConnectionQueue
from db.engine import Database
from db.errors import Overloaded


async def hold(queue: ConnectionQueue, seconds: float, patience: float = 60) -> None:
    async with queue.slot(patience):
        await asyncio.sleep(seconds)


def queue_up(queue: ConnectionQueue, number: int, work: Callable[[], Awaitable[None]]) -> list[asyncio.Future[None]]:
    return [asyncio.ensure_future(work()) for _ in range(number)]


async def test_turns_come_in_order_but_for_those_who_go_first() -> None:
    queue, order = ConnectionQueue(1), list[str]()

    async def take(name: str, *, first: bool = False) -> None:
        async with queue.slot(60, first=first):
            order.append(name)
            await asyncio.sleep(0)

    async with queue.slot(60):
        tasks = [asyncio.create_task(take(name, first=name == "probe")) for name in ("a", "b", "c", "probe")]
        await asyncio.sleep(0)
        assert queue.waiting == 4
    await asyncio.gather(*tasks)
    assert order == ["probe", "a", "b", "c"]


async def test_whatever_happens_no_turn_is_lost() -> None:
    queue, rng = ConnectionQueue(3), random.Random(0)
    at_once = 0

    async def visit() -> None:
        nonlocal at_once
        async with queue.slot(rng.choice([0.001, 0.01, 60])):
            at_once += 1
            assert at_once <= 3
            try:
                await asyncio.sleep(rng.uniform(0, 0.002))
            finally:
                at_once -= 1

    for _ in range(20):
        visits = queue_up(queue, 30, visit)
        for one in rng.sample(visits, 10):
            asyncio.get_running_loop().call_later(rng.uniform(0, 0.01), one.cancel)
        await asyncio.gather(*visits, return_exceptions=True)
    assert queue.waiting == 0
    assert [queue.acquire_nowait() for _ in range(4)] == [True, True, True, False]


async def test_who_waits_too_long_is_told() -> None:
    queue = ConnectionQueue(1)
    async with queue.slot(60):
        started = time.monotonic()
        with pytest.raises(Overloaded):
            await queue.acquire(0.05)
        assert 0.04 < time.monotonic() - started < 0.5
    assert queue.acquire_nowait()


async def test_the_expected_wait_is_what_they_do_wait() -> None:
    queue = ConnectionQueue(4)
    for _ in range(40):
        queue.acquire_nowait()
        queue.release(0.02)
    tasks = queue_up(queue, 84, lambda: hold(queue, 0.02))
    await asyncio.sleep(BURST_SECONDS + 0.02)
    expected, started = queue.expected_wait_seconds, time.monotonic()
    async with queue.slot(60):
        assert expected == pytest.approx(time.monotonic() - started, rel=0.5)
    await asyncio.gather(*tasks)
    assert queue.expected_wait_seconds == 0


async def test_a_burst_is_not_judged_by_what_came_before() -> None:
    queue = ConnectionQueue(2)
    for _ in range(100):
        queue.acquire_nowait()
        queue.release(5)
    tasks = queue_up(queue, 300, lambda: hold(queue, 0))
    await asyncio.sleep(0)
    assert queue.waiting > 200
    assert queue.expected_wait_seconds < 0.1
    await asyncio.gather(*tasks)


async def test_where_nothing_moves_the_longest_wait_tells() -> None:
    queue = ConnectionQueue(1)
    async with queue.slot(60):
        task = asyncio.create_task(hold(queue, 0))
        await asyncio.sleep(0.3)
        # No turn has ended yet, so nobody knows how long they last.
        assert 0.25 < queue.expected_wait_seconds < 0.5
    await task


async def test_a_probe_of_the_database_goes_first(database_url: URL) -> None:
    database = Database(database_url, pool_size=1)
    reads = [asyncio.create_task(database.fetch_value(text("SELECT pg_sleep(0.1)"))) for _ in range(15)]
    await asyncio.sleep(0.05)
    assert (await database.probe()).alive
    assert not reads[-1].done()
    await asyncio.gather(*reads)
    await database.close()
