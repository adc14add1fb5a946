"""A statement that times out or is cancelled also ends in PostgreSQL, and its connection returns to the pool."""

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
from tests.waiting import eventually

SLOW = "SELECT to_json(1) FROM pg_sleep(8)"
INSERT = "INSERT INTO models (name, version) VALUES ('pg_sleep', gen_random_uuid()::text)"
# The longest time for which PostgreSQL may continue a cancelled statement.
CANCEL_SECONDS = 1.0


@pytest.fixture
async def activity(database_url: URL) -> AsyncIterator[Activity]:
    async with watching(database_url) as activity:
        yield activity


async def cached_statement(database: Database) -> Any:
    return await database.prepared.fetch_row(SLOW, [], cache_statement=True)


async def uncached_statement(database: Database) -> Any:
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


WAYS = pytest.mark.parametrize(
    "run", [cached_statement, uncached_statement, by_sqlalchemy, in_transaction, between_statements]
)
Run = Callable[[Database], Awaitable[Any]]


async def assert_is_clean(database: Database) -> None:
    """No connection is checked out, nothing was written, and every connection works."""
    assert database.pool_in_use == 0
    assert await database.fetch_value(text("SELECT count(*) FROM models")) == 0
    backend = "SELECT to_json(txid_current_if_assigned()) FROM pg_sleep(0.01)"
    answers = await asyncio.gather(*(database.prepared.fetch_row(backend, [], cache_statement=True) for _ in range(10)))
    assert {row[0] for row in answers} == {None}


@WAYS
async def test_a_deadline_cancels_the_statement(database: Database, activity: Activity, run: Run) -> None:
    started = time.monotonic()
    with pytest.raises(StatementTimeout), deadline(0.3):
        await run(database)
    assert time.monotonic() - started < 0.3 + CANCEL_SECONDS
    assert await activity.seconds_until("pg_sleep", 0) < CANCEL_SECONDS
    await assert_is_clean(database)


@WAYS
async def test_a_cancelled_caller_cancels_the_statement(database: Database, activity: Activity, run: Run) -> None:
    running = [asyncio.ensure_future(run(database)) for _ in range(3)]
    await activity.seconds_until("pg_sleep", 3)
    for one in running:
        one.cancel()
    ended = await asyncio.gather(*running, return_exceptions=True)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 3
    assert await activity.seconds_until("pg_sleep", 0) < CANCEL_SECONDS
    await assert_is_clean(database)


async def test_a_cancelled_statement_keeps_its_connection(database: Database, activity: Activity) -> None:
    backend = "SELECT to_json(pg_backend_pid())"
    backend_pid = await database.prepared.fetch_row(backend, [], cache_statement=True)
    for _ in range(5):
        with pytest.raises(StatementTimeout), deadline(0.02):
            await cached_statement(database)
        running = asyncio.create_task(cached_statement(database))
        await activity.seconds_until("pg_sleep", 1)
        running.cancel()
        await asyncio.wait({running})
        assert list(await database.prepared.fetch_row(backend, [], cache_statement=True)) == list(backend_pid)


async def test_waiting_for_a_connection_counts_towards_the_deadline(database_url: URL, activity: Activity) -> None:
    database = Database(database_url, pool_size=1)
    holding = asyncio.create_task(database.fetch_value(text("SELECT pg_sleep(0.5)")))
    await activity.seconds_until("pg_sleep", 1)
    started = time.monotonic()
    with pytest.raises(StatementTimeout), deadline(0.8):
        await cached_statement(database)
    assert 0.7 < time.monotonic() - started < 1.5
    with pytest.raises(Overloaded), deadline(0.1):
        async with database.connect():
            await cached_statement(database)
    await holding
    await database.close()


async def test_statement_timeout_is_set_for_the_session(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.3)
    assert await database.fetch_value(text("SHOW statement_timeout")) == "300ms"
    started = time.monotonic()
    with pytest.raises(StatementTimeout, match="cancelled"):
        await cached_statement(database)
    assert time.monotonic() - started < 0.3 + CANCEL_SECONDS
    await database.close()


async def test_no_statement_is_sent_after_the_deadline(database: Database) -> None:
    with deadline(0.01):
        await eventually(lambda: (remaining_seconds() or 0) <= 0)
        for run in (cached_statement, by_sqlalchemy, in_transaction):
            # It raises before it waits for the first time, so nothing was sent.
            with pytest.raises(StatementTimeout):
                run(database).send(None)
    await assert_is_clean(database)


def test_a_deadline_ends_with_its_block() -> None:
    assert remaining_seconds() is None
    with deadline(5):
        assert 4 < limited_timeout(60) <= 5
        assert limited_timeout(2) == 2
        with deadline(-1), pytest.raises(StatementTimeout):
            limited_timeout(60)
    assert limited_timeout(60) == 60


async def test_the_statement_of_a_killed_client_ends(database_url: URL, activity: Activity) -> None:
    database = Database(database_url, pool_size=1)
    async with database.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        running = asyncio.create_task(driver.fetch(SLOW))
        await activity.seconds_until("pg_sleep", 1)
        # Closes the socket without a Terminate message, as the kernel does for a killed process.
        driver.terminate()
        await asyncio.wait({running})
        assert await activity.seconds_until("pg_sleep", 0) < 2
    await database.close()
