"""The connection queue: its order, its timeouts, and its estimate of the wait."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import URL, text

from db.connection_queue import BURST_SECONDS, ConnectionQueue
from db.engine import Database
from db.errors import Overloaded
from tests.db.activity import watching
from tests.waiting import eventually


async def hold(queue: ConnectionQueue, seconds: float, timeout_seconds: float = 60) -> None:
    async with queue.slot(timeout_seconds):
        await asyncio.sleep(seconds)


def start_tasks(number: int, work: Callable[[], Awaitable[None]]) -> list[asyncio.Future[None]]:
    return [asyncio.ensure_future(work()) for _ in range(number)]


async def test_slots_are_assigned_in_order_except_to_those_that_jump_the_queue() -> None:
    queue, order = ConnectionQueue(1), list[str]()

    async def take(name: str, *, jump_queue: bool = False) -> None:
        async with queue.slot(60, jump_queue=jump_queue):
            order.append(name)

    async with queue.slot(60):
        tasks = [asyncio.create_task(take(name, jump_queue=name == "probe")) for name in ("a", "b", "c", "probe")]
        await eventually(lambda: queue.waiting == 4)
    await asyncio.gather(*tasks)
    assert order == ["probe", "a", "b", "c"]


async def test_no_slot_is_lost_to_timeouts_and_cancellations() -> None:
    queue, rng = ConnectionQueue(3), random.Random(0)
    in_use = 0

    async def use_slot() -> None:
        nonlocal in_use
        async with queue.slot(rng.choice([0.001, 0.01, 60])):
            in_use += 1
            assert in_use <= 3
            try:
                await asyncio.sleep(rng.uniform(0, 0.002))
            finally:
                in_use -= 1

    for _ in range(20):
        tasks = start_tasks(30, use_slot)
        for task in rng.sample(tasks, 10):
            asyncio.get_running_loop().call_later(rng.uniform(0, 0.01), task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
    assert queue.waiting == 0
    assert [queue.acquire_nowait() for _ in range(4)] == [True, True, True, False]


async def test_a_wait_beyond_its_timeout_raises_overloaded() -> None:
    queue = ConnectionQueue(1)
    async with queue.slot(60):
        started = time.monotonic()
        with pytest.raises(Overloaded):
            await queue.acquire(0.05)
        assert 0.04 < time.monotonic() - started < 0.5
    assert queue.acquire_nowait()


async def test_the_expected_wait_is_close_to_the_actual_one() -> None:
    queue = ConnectionQueue(4)
    for _ in range(40):
        queue.acquire_nowait()
        queue.release(0.02)
    tasks = start_tasks(84, lambda: hold(queue, 0.02))
    # The estimate ignores hold times in a younger queue.
    began = time.monotonic()
    await eventually(lambda: time.monotonic() - began > BURST_SECONDS)
    expected, started = queue.expected_wait_seconds, time.monotonic()
    async with queue.slot(60):
        assert expected == pytest.approx(time.monotonic() - started, rel=0.5)
    await asyncio.gather(*tasks)
    assert queue.expected_wait_seconds == 0


async def test_earlier_hold_times_do_not_count_in_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.connection_queue.BURST_SECONDS", 60)
    queue = ConnectionQueue(2)
    for _ in range(100):
        queue.acquire_nowait()
        queue.release(5)
    async with queue.slot(60), queue.slot(60):
        started = time.monotonic()
        tasks = start_tasks(300, lambda: hold(queue, 0))
        await eventually(lambda: queue.waiting == 300, every=0)
        assert queue.expected_wait_seconds <= time.monotonic() - started
    await asyncio.gather(*tasks)


async def test_the_expected_wait_is_at_least_that_of_the_head() -> None:
    queue = ConnectionQueue(1)
    async with queue.slot(60):
        task = asyncio.create_task(hold(queue, 0))
        # No slot was released yet, so the mean hold time is 0.
        await eventually(lambda: queue.expected_wait_seconds > 0.25)
    await task


async def test_a_health_check_jumps_the_queue(database_url: URL) -> None:
    database = Database(database_url, pool_size=1)
    reads = [asyncio.create_task(database.fetch_value(text("SELECT pg_sleep(0.1)"))) for _ in range(15)]
    async with watching(database_url) as activity:
        await activity.seconds_until("pg_sleep", 1)
    assert (await database.probe()).alive
    assert not reads[-1].done()
    await asyncio.gather(*reads)
    await database.close()
