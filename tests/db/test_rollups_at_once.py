"""Concurrent writers commit exact rollups, or one of them gets a serialization error."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL

from tests.conftest import TEMPLATE, create_database
from tests.db import scratch
from tests.db.scratch import DAY, HOUR, MINUTE, Connection, assert_exact

NOON = datetime(2025, 1, 8, 12, tzinfo=UTC)
COINS = """
INSERT INTO cryptocurrencies (id, symbol, name, base_interval)
VALUES (1, 'MIN', '', 'M1'), (2, 'HRS', '', 'H1'), (3, 'TWO', '', 'M1')
"""
CANDLE = """
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
) SELECT DISTINCT $1::bigint, at, $3::float8, $3, $3, $3, $4::float8, 'x' FROM unnest($2::timestamptz[]) AS at
"""
CANDLE_AT_NOON = """
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
) VALUES (1, '2025-01-08 12:02+00', 5, 5, 5, 5, {volume}, 'x')
"""
RETRY = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    """One database for all tests of this module."""
    return asyncio.run(create_database(postgres, "rollups_at_once", template=TEMPLATE))


@pytest.fixture
async def writers(url: URL) -> AsyncIterator[list[Connection]]:
    writers = [await scratch.connect(url) for _ in range(4)]
    await writers[0].execute(f"TRUNCATE cryptocurrencies CASCADE; {COINS}")
    yield writers
    for writer in writers:
        await writer.close(timeout=5)


async def put(writer: Connection, *times: datetime, coin: int = 1, price: float = 5.0, volume: float = 0.1) -> None:
    await writer.execute(CANDLE, coin, list(times), price, volume)


async def blocked(writers: list[Connection], writer: Connection, work: Any) -> asyncio.Task[Any]:
    """The work of a writer as a task, once it waits for a lock. The last writer observes, and must be idle."""
    task = asyncio.ensure_future(work)
    await scratch.until_blocked(writer, writers[-1])
    assert not task.done()
    return task


@pytest.mark.parametrize("coin", [1, 2])
@pytest.mark.parametrize("later", [NOON + 59 * MINUTE, NOON + 3 * HOUR], ids=["one hour", "one day"])
@pytest.mark.parametrize("is_new", [True, False])
async def test_two_write_the_same_bucket(writers: list[Connection], coin: int, later: datetime, is_new: bool) -> None:
    first, second, *_ = writers
    if not is_new:
        await put(first, NOON + MINUTE, later + MINUTE, coin=coin)
    async with first.transaction():
        await put(first, NOON, coin=coin, price=9)
        async with second.transaction():
            waiting = await blocked(writers, second, put(second, later, coin=coin, price=2))
            await first.execute("COMMIT; BEGIN")
            await waiting
            await assert_exact(second)
    await assert_exact(first)


async def test_one_deletes_the_day_that_another_writes(writers: list[Connection]) -> None:
    first, second, *_ = writers
    await put(first, NOON)
    async with first.transaction():
        await first.execute("DELETE FROM market_data")
        waiting = await blocked(writers, second, put(second, NOON + MINUTE))
    await waiting
    await assert_exact(first)
    assert len(await scratch.rows(first, "candle_rollups_d1")) == 1


async def test_the_lock_is_taken_before_the_rows_are_read(writers: list[Connection]) -> None:
    """The first is blocked halfway: the second must wait for it, or its rollup would be overwritten."""
    first, second, third, *_ = writers
    await put(first, NOON, NOON + 3 * HOUR)
    async with third.transaction():
        await third.fetch("SELECT FROM candle_rollups_h1 WHERE timestamp = $1 FOR UPDATE", NOON)
        await first.execute("BEGIN")
        await second.execute("BEGIN")
        one = await blocked(writers, first, put(first, NOON + MINUTE, price=9))
        two = await blocked(writers, second, put(second, NOON + 3 * HOUR + MINUTE, price=2))
    await one
    assert not two.done()
    await first.execute("COMMIT")
    await two
    await second.execute("COMMIT")
    await assert_exact(first)


async def test_two_write_different_days(writers: list[Connection]) -> None:
    first, second, *_ = writers
    async with first.transaction():
        await put(first, NOON)
        await asyncio.wait_for(put(second, NOON + DAY), 5)
        await asyncio.wait_for(put(second, NOON, coin=3), 5)
    await assert_exact(first)


NOT_IN_THE_SNAPSHOT = {
    "another candle": CANDLE_AT_NOON.format(volume=7),
    "a candle that changes no rollup": CANDLE_AT_NOON.format(volume=0),
    "no candles": "DELETE FROM market_data",
    "another base interval": "UPDATE cryptocurrencies SET base_interval = 'H1'",
}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
@pytest.mark.parametrize("change", NOT_IN_THE_SNAPSHOT.values(), ids=list(NOT_IN_THE_SNAPSHOT))
async def test_a_snapshot_that_is_too_old(writers: list[Connection], isolation: str, change: str) -> None:
    """A writer whose snapshot lacks a committed change must retry: its rollups would be outdated."""
    first, second, *_ = writers
    await put(first, NOON)
    transaction = second.transaction(isolation=isolation)
    await transaction.start()
    await second.fetch("SELECT count(*) FROM market_data")
    await first.execute(change)
    with pytest.raises(asyncpg.SerializationError):
        # The candle that follows the change of the base interval is in a day without rows.
        await put(second, NOON + (DAY if "base_interval" in change else MINUTE))
    await transaction.rollback()
    await assert_exact(first)


async def test_a_snapshot_that_is_recent_enough(writers: list[Connection]) -> None:
    first, second, *_ = writers
    await put(first, NOON)
    async with second.transaction(isolation="serializable"):
        await second.fetch("SELECT FROM market_data WHERE timestamp > '2026-01-01'")
        await put(first, NOON + MINUTE)
        await put(second, NOON + DAY)
        await put(second, NOON + DAY + MINUTE)
    await assert_exact(first)


async def test_a_change_of_a_base_interval_waits_for_writers(writers: list[Connection]) -> None:
    first, second, third, *_ = writers
    async with first.transaction():
        await put(first, NOON, coin=2)
        change = "UPDATE cryptocurrencies SET base_interval = 'M1' WHERE id = 2"
        changing = await blocked(writers, second, second.execute(change))
        late = await blocked(writers, third, put(third, NOON + 5 * DAY, coin=2))
    await asyncio.gather(changing, late)
    await assert_exact(first)
    assert len(await scratch.rows(first, "candle_rollups_h1")) == 2


async def test_days_are_locked_in_one_order(writers: list[Connection]) -> None:
    """In any order of the rows: otherwise two writers would deadlock."""
    days = [NOON + day * DAY for day in range(60)]
    for minute in range(6):
        await asyncio.gather(
            *(
                put(writer, *(day + (4 * minute + place) * MINUTE for day in days[:: 1 if place % 2 else -1]))
                for place, writer in enumerate(writers)
            )
        )
    await assert_exact(writers[0])


@pytest.mark.parametrize("seed", range(3))
async def test_many_writers(writers: list[Connection], seed: int) -> None:
    await asyncio.gather(*(_write(writer, Random(seed * 10 + place)) for place, writer in enumerate(writers)))
    await assert_exact(writers[0])


async def _write(writer: Connection, random: Random) -> None:
    for _ in range(25):
        isolation = random.choice(["read_committed", "read_committed", "repeatable_read", "serializable"])
        try:
            async with writer.transaction(isolation=isolation):
                for _ in range(random.randint(1, 3)):
                    await writer.execute(*_change(random))
                    await asyncio.sleep(random.random() / 100)
        except RETRY:
            continue


def _change(random: Random) -> tuple[Any, ...]:
    coin = random.choice([1, 1, 1, 2])
    times = [NOON + random.randint(0, 2) * 9 * HOUR + random.randint(0, 30) * MINUTE for _ in range(3)]
    where = "WHERE cryptocurrency_id = $1 AND timestamp = ANY ($2)"
    return random.choice(
        [
            (f"{CANDLE} ON CONFLICT DO NOTHING", coin, times, random.randint(1, 9), random.random()),
            (
                f"{CANDLE} ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET volume = excluded.volume",
                *(coin, times, random.randint(1, 9), random.random()),
            ),
            (f"UPDATE market_data SET volume = volume / 2, data_source = 'y' {where}", coin, times),
            (f"DELETE FROM market_data {where}", coin, times),
        ]
    )
