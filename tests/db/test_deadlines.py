"""What is late or no longer wanted ends in PostgreSQL too, and its connection is back in the pool."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.deadlines import deadline, limited_timeout, remaining_seconds
from db.engine import Database
from db.errors import Overloaded, StatementTimeout
from tests.db.activity import Activity, watching

SLOW = "SELECT to_json(1) FROM pg_sleep(8)"
INSERT = "INSERT INTO models (name, version) VALUES ('pg_sleep', gen_random_uuid()::text)"
# So long after nobody waits any more, at most, PostgreSQL works on.
SOON = 1.0


@pytest.fixture
async def activity(database_url: URL) -> AsyncIterator[Activity]:
    async with watching(database_url) as activity:
        yield activity


async def kept(database: Database) -> Any:
    return await database.prepared.fetch_row(SLOW, [], cache_statement=True)


async def not_kept(database: Database) -> Any:
    return await database.prepared.fetch_row(SLOW, [], cache_statement=False)


async def by_sqlalchemy(database: Database) -> Any:
    return await database.fetch_value(text(SLOW))


async def in_transaction(database: Database) -> Any:
    async with database.transaction() as connection:
        await connection.execute(text(INSERT))
        await connection.execute(text(SLOW))


async def between_statements(database: Database) -> Any:
    async with database.transaction() as connection:
        await connection.execute(text(INSERT))
        await asyncio.sleep(8)


WAYS = pytest.mark.parametrize("ask", [kept, not_kept, by_sqlalchemy, in_transaction, between_statements])
Ask = Callable[[Database], Awaitable[Any]]


async def is_whole(database: Database) -> None:
    """Nothing is checked out, nothing was written, and every connection works."""
    assert database.pool_in_use == 0
    assert await database.fetch_value(text("SELECT count(*) FROM models")) == 0
    backend = "SELECT to_json(txid_current_if_assigned()) FROM pg_sleep(0.01)"
    answers = await asyncio.gather(*(database.prepared.fetch_row(backend, [], cache_statement=True) for _ in range(10)))
    assert {row[0] for row in answers} == {None}


@WAYS
async def test_a_deadline_cancels_the_statement(database: Database, activity: Activity, ask: Ask) -> None:
    started = time.monotonic()
    with pytest.raises(StatementTimeout), deadline(0.3):
        await ask(database)
    assert time.monotonic() - started < 0.3 + SOON
    assert await activity.seconds_until("pg_sleep", 0) < SOON
    await is_whole(database)


@WAYS
async def test_who_leaves_cancels_the_statement(database: Database, activity: Activity, ask: Ask) -> None:
    asking = [asyncio.ensure_future(ask(database)) for _ in range(3)]
    await activity.seconds_until("pg_sleep", 3)
    for one in asking:
        one.cancel()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 3
    assert await activity.seconds_until("pg_sleep", 0) < SOON
    await is_whole(database)


async def test_a_cancelled_statement_does_not_cost_its_connection(database: Database) -> None:
    backend = "SELECT to_json(pg_backend_pid())"
    before = await database.prepared.fetch_row(backend, [], cache_statement=True)
    for _ in range(5):
        with pytest.raises(StatementTimeout), deadline(0.02):
            await kept(database)
        asking = asyncio.create_task(kept(database))
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait({asking})
        assert list(await database.prepared.fetch_row(backend, [], cache_statement=True)) == list(before)


async def test_waiting_for_a_connection_counts(database_url: URL, activity: Activity) -> None:
    database = Database(database_url, pool_size=1)
    holding = asyncio.create_task(database.fetch_value(text("SELECT pg_sleep(0.5)")))
    await activity.seconds_until("pg_sleep", 1)
    started = time.monotonic()
    with pytest.raises(StatementTimeout), deadline(0.8):
        await kept(database)
    assert 0.7 < time.monotonic() - started < 1.5
    with pytest.raises(Overloaded), deadline(0.1):
        async with database.connect():
            await kept(database)
    await holding
    await database.close()


async def test_the_session_ends_what_takes_longer_than_any_request_may(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.3)
    assert await database.fetch_value(text("SHOW statement_timeout")) == "300ms"
    started = time.monotonic()
    with pytest.raises(StatementTimeout, match="cancelled"):
        await kept(database)
    assert time.monotonic() - started < 0.3 + SOON
    await database.close()


async def test_a_deadline_that_is_over_asks_nothing(database: Database, activity: Activity) -> None:
    with deadline(0.01):
        await asyncio.sleep(0.02)
        for ask in (kept, by_sqlalchemy, in_transaction):
            with pytest.raises(StatementTimeout):
                await ask(database)
    assert await activity.running("pg_sleep") == 0
    await is_whole(database)


def test_deadlines_end_with_their_block() -> None:
    assert remaining_seconds() is None
    with deadline(5):
        assert 4 < limited_timeout(60) <= 5
        assert limited_timeout(2) == 2
        with deadline(-1), pytest.raises(StatementTimeout):
            limited_timeout(60)
    assert limited_timeout(60) == 60


async def test_a_server_that_is_killed_leaves_no_statement_behind(database_url: URL, activity: Activity) -> None:
    database = Database(database_url, pool_size=1)
    async with database.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        asking = asyncio.create_task(driver.fetch(SLOW))
        await activity.seconds_until("pg_sleep", 1)
        # As the kernel closes it, without a word.
        driver.terminate()
        await asyncio.wait({asking})
        assert await activity.seconds_until("pg_sleep", 0) < 2
    await database.close()
