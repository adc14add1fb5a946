"""Transactions: an unconfirmed commit is an error, and no connection returns to the pool in a transaction."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL, Executable, text
from sqlalchemy.exc import IntegrityError

from db import transactions
from db.engine import Database
from db.errors import CommitUnconfirmed, DatabaseError, DatabaseUnavailable, StatementTimeout
from tests.waiting import eventually

INSERT = text("INSERT INTO models (name, version) VALUES ('m', '1')")
COUNT = text("SELECT count(*) FROM models")
BACKEND_PID = text("SELECT pg_backend_pid()")
IN_TRANSACTION = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")


async def run(database: Database, *statements: Executable) -> None:
    """Run the statements in one transaction."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_a_transaction_whose_statement_failed_is_not_reported_as_committed(database: Database) -> None:
    async def ignore_error() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            with pytest.raises(IntegrityError):
                await connection.execute(INSERT)

    with pytest.raises(DatabaseError, match="rolled back"):
        await ignore_error()
    assert await database.fetch_value(COUNT) == 0


async def test_a_failure_within_a_savepoint_does_not_abort_the_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT)
        with suppress(IntegrityError):
            async with connection.begin_nested():
                await connection.execute(INSERT)
    assert await database.fetch_value(COUNT) == 1


async def test_a_deferred_constraint_is_checked_at_commit(database: Database) -> None:
    deferred = text("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await run(database, deferred, text("INSERT INTO t VALUES (1), (1)"))
    assert await database.fetch_value(IN_TRANSACTION) == 0


async def test_a_connection_lost_before_the_commit_is_an_error(database: Database) -> None:
    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            backend = (await connection.execute(BACKEND_PID)).scalar_one()
            await database.fetch_value(text(f"SELECT pg_terminate_backend({backend})"))

    with pytest.raises(DatabaseUnavailable):
        await work()
    assert await database.fetch_value(COUNT) == 0


async def test_an_unconfirmed_commit_raises_commit_unconfirmed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.transactions.COMMIT_SECONDS", 0.2)
    # A slow trigger that runs at commit.
    slow = [text("CREATE TEMP TABLE t (n int)"), SLOW_FUNCTION, SLOW_TRIGGER, text("INSERT INTO t VALUES (1)")]
    with pytest.raises(CommitUnconfirmed, match="check whether it was made"):
        await run(database, *slow)
    assert await database.fetch_value(IN_TRANSACTION) == 0
    assert database.pool_in_use == 0


SLOW_FUNCTION = text(
    "CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END'"
)
SLOW_TRIGGER = text(
    "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION pg_temp.slow()"
)


async def test_a_cancellation_during_rollback_leaves_no_open_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[int] = []

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            stopped.append((await connection.execute(BACKEND_PID)).scalar_one())
            os.kill(stopped[0], signal.SIGSTOP)
            raise ZeroDivisionError

    rolling_back = asyncio.Event()
    roll_back = transactions._roll_back

    async def announced_roll_back(connection: Any, driver: Any) -> None:
        rolling_back.set()
        await roll_back(connection, driver)

    monkeypatch.setattr(transactions, "_roll_back", announced_roll_back)
    task = asyncio.create_task(work())
    # The backend is stopped, so the rollback waits for it.
    await rolling_back.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.kill(stopped[0], signal.SIGCONT)
    assert database.pool_in_use == 0

    async def has_no_open_transaction() -> bool:
        return await database.fetch_value(IN_TRANSACTION) == 0

    await eventually(has_no_open_transaction)
    assert await database.fetch_value(COUNT) == 0


async def test_idle_connections_that_were_lost_cause_no_errors(database_url: URL) -> None:
    database, killer = Database(database_url, pool_size=3), Database(database_url, pool_size=1)
    for _ in range(2):
        await asyncio.gather(*(database.fetch_value(text("SELECT pg_sleep(0.05)")) for _ in range(3)))
        await killer.fetch_value(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        async with database.transaction() as connection:
            await connection.execute(text("DELETE FROM models"))
            await connection.execute(INSERT)
        assert await database.fetch_value(COUNT) == 1
    await database.close()
    await killer.close()


async def test_a_lock_timeout_is_a_statement_timeout(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE models"))
        with pytest.raises(StatementTimeout):
            await run(database, text("SET LOCAL lock_timeout = '50ms'"), INSERT)
