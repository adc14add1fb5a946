"""The pool, the health check, and the translation of errors."""

import asyncio
import os
import signal
import time
from contextlib import suppress

import pytest
from sqlalchemy import URL, text

from db.engine import Database, driver_url
from db.errors import DatabaseUnavailable, Overloaded, Rejected, StatementTimeout
from tests.db.activity import watching
from tests.waiting import eventually


async def test_session_settings(database: Database) -> None:
    expected = {
        "TimeZone": "UTC",
        "jit": "off",
        "statement_timeout": "10s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        "application_name": "candlegraph",
    }
    for name, value in expected.items():
        assert await database.fetch_value(text(f"SHOW {name}")) == value


async def test_a_read_is_one_statement_without_a_transaction(database: Database) -> None:
    first = await database.fetch_value(text("SELECT pg_current_xact_id()"))
    assert await database.fetch_value(text("SELECT pg_current_xact_id()")) != first


async def test_a_transaction_is_all_or_nothing_and_leaves_the_pool_in_autocommit(database: Database) -> None:
    with suppress(ZeroDivisionError):
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO models (name, version) VALUES ('m', '1')"))
            raise ZeroDivisionError
    assert await database.fetch_value(text("SELECT count(*) FROM models")) == 0
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO models (name, version) VALUES ('m', '1')"))
    assert await database.fetch_value(text("SELECT count(*) FROM models")) == 1
    first = await database.fetch_value(text("SELECT pg_current_xact_id()"))
    assert await database.fetch_value(text("SELECT pg_current_xact_id()")) != first


@pytest.mark.parametrize("url", ["postgresql://u@127.0.0.1:1/d", "postgresql://u@/d?host=/nowhere"])
async def test_a_server_that_cannot_be_reached(url: str) -> None:
    database = Database(driver_url(url))
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await database.fetch_value(text("SELECT 1"))
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        async with database.transaction():
            pass
    assert (await database.probe()).message == "The database cannot be reached."
    await database.close()


async def test_a_database_that_does_not_exist(postgres: URL) -> None:
    database = Database(postgres.set(database="none"))
    with pytest.raises(DatabaseUnavailable, match="check DATABASE_URL"):
        await database.fetch_value(text("SELECT 1"))
    await database.close()


async def test_an_exhausted_pool(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.1)
    async with database.connect():
        with pytest.raises(Overloaded, match="busy"):
            await database.fetch_value(text("SELECT 1"))
    assert await database.fetch_value(text("SELECT 1")) == 1
    await database.close()


async def test_a_statement_that_runs_too_long(database: Database) -> None:
    async with database.connect() as connection:
        await connection.execute(text("SET statement_timeout = '50ms'"))
    with pytest.raises(StatementTimeout):
        await database.fetch_value(text("SELECT pg_sleep(1)"))


async def test_a_statement_that_rejects_its_input(database: Database) -> None:
    with pytest.raises(Rejected, match=r"^No\.$") as rejected:
        await database.fetch_value(text("""SELECT candlegraph_refuse('No.', '{"code": "C", "limit": 5}')"""))
    assert rejected.value.code == "C"
    assert rejected.value.details == {"limit": 5}


async def test_a_server_that_hangs_delays_requests_by_the_timeout_only(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.5)
    backend = await database.fetch_value(text("SELECT pg_backend_pid()"))
    os.kill(backend, signal.SIGSTOP)
    try:
        started = time.monotonic()
        probe = await database.probe(timeout_seconds=0.2)
        assert probe.message == "No answer within 0.2 s."
        assert time.monotonic() - started < 0.4
        # The abandoned connection is closed by force after two seconds.
        await eventually(lambda: database.pool_in_use == 0)
        assert await database.fetch_value(text("SELECT 1")) == 1
    finally:
        os.kill(backend, signal.SIGCONT)
    await database.close()


async def test_a_cancelled_read_returns_its_connection(database: Database, database_url: URL) -> None:
    async with watching(database_url) as activity:
        for _ in range(3):
            reading = asyncio.create_task(database.fetch_value(text("SELECT pg_sleep(30)")))
            await activity.seconds_until("pg_sleep", 1)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await activity.seconds_until("pg_sleep", 0)
    assert database.pool_in_use == 0
    assert await database.fetch_value(text("SELECT 1")) == 1
