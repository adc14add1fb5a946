"""Writers at the same time: what they commit is exact, or one of them is told to try again."""

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
    """One database for all tests here."""
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


async def waits(work: Any) -> asyncio.Task[Any]:
    """The work as a task, which somebody holds up."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait([task], timeout=0.3)
    assert not done, task
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
            waiting = await waits(put(second, later, coin=coin, price=2))
            await first.execute("COMMIT; BEGIN")
            await waiting
            await assert_exact(second)
    await assert_exact(first)


async def test_one_empties_the_day_that_another_writes(writers: list[Connection]) -> None:
    first, second, *_ = writers
    await put(first, NOON)
    async with first.transaction():
        await first.execute("DELETE FROM market_data")
        waiting = await waits(put(second, NOON + MINUTE))
    await waiting
    await assert_exact(first)
    assert len(await scratch.rows(first, "candle_rollups_d1")) == 1


async def test_the_lock_comes_before_the_look(writers: list[Connection]) -> None:
    """Somebody holds up the first within its work: the second must not get past it, and then be overwritten."""
    first, second, third, *_ = writers
    await put(first, NOON, NOON + 3 * HOUR)
    async with third.transaction():
        await third.fetch("SELECT FROM candle_rollups_h1 WHERE timestamp = $1 FOR UPDATE", NOON)
        await first.execute("BEGIN")
        await second.execute("BEGIN")
        one = await waits(put(first, NOON + MINUTE, price=9))
        two = asyncio.ensure_future(put(second, NOON + 3 * HOUR + MINUTE, price=2))
        await asyncio.sleep(0.3)
    await asyncio.gather(_commit(first, one), _commit(second, two))
    await assert_exact(first)


async def _commit(writer: Connection, written: asyncio.Task[None]) -> None:
    await written
    await asyncio.sleep(0.2)
    await writer.execute("COMMIT")


async def test_two_write_different_days(writers: list[Connection]) -> None:
    first, second, *_ = writers
    async with first.transaction():
        await put(first, NOON)
        await asyncio.wait_for(put(second, NOON + DAY), 5)
        await asyncio.wait_for(put(second, NOON, coin=3), 5)
    await assert_exact(first)


SEEN_LATE = {
    "a candle more": CANDLE_AT_NOON.format(volume=7),
    "one that changes no rollup": CANDLE_AT_NOON.format(volume=0),
    "none left": "DELETE FROM market_data",
    "another base interval": "UPDATE cryptocurrencies SET base_interval = 'H1'",
}


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
@pytest.mark.parametrize("change", SEEN_LATE.values(), ids=list(SEEN_LATE))
async def test_a_snapshot_that_is_too_old(writers: list[Connection], isolation: str, change: str) -> None:
    """Whoever would reckon from what is no longer so must try again."""
    first, second, *_ = writers
    await put(first, NOON)
    transaction = second.transaction(isolation=isolation)
    await transaction.start()
    await second.fetch("SELECT count(*) FROM market_data")
    await first.execute(change)
    with pytest.raises(asyncpg.SerializationError):
        # The last is a day of its own: nobody has written to it.
        await put(second, NOON + (DAY if "base_interval" in change else MINUTE))
    await transaction.rollback()
    await assert_exact(first)


async def test_a_snapshot_that_is_old_enough(writers: list[Connection]) -> None:
    first, second, *_ = writers
    await put(first, NOON)
    async with second.transaction(isolation="serializable"):
        await second.fetch("SELECT FROM market_data WHERE timestamp > '2026-01-01'")
        await put(first, NOON + MINUTE)
        await put(second, NOON + DAY)
        await put(second, NOON + DAY + MINUTE)
    await assert_exact(first)


async def test_a_base_interval_waits_for_whoever_writes(writers: list[Connection]) -> None:
    first, second, third, *_ = writers
    async with first.transaction():
        await put(first, NOON, coin=2)
        changing = await waits(second.execute("UPDATE cryptocurrencies SET base_interval = 'M1' WHERE id = 2"))
        late = await waits(put(third, NOON + 5 * DAY, coin=2))
    await asyncio.gather(changing, late)
    await assert_exact(first)
    assert len(await scratch.rows(first, "candle_rollups_h1")) == 2


async def test_many_days_are_locked_in_one_order(writers: list[Connection]) -> None:
    """Whatever the order of the rows: otherwise each would hold what the other waits for."""
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
