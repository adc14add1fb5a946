"""Transactions are confirmed, or whoever asked is told otherwise; no connection goes back inside one."""

import asyncio
import os
import signal
from contextlib import suppress

import asyncpg
import pytest
from sqlalchemy import URL, Executable, text
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.errors import CommitUnconfirmed, DatabaseError, DatabaseUnavailable, StatementTimeout

INSERT = text("INSERT INTO models (name, version) VALUES ('m', '1')")
COUNT = text("SELECT count(*) FROM models")
ME = text("SELECT pg_backend_pid()")
IN_TRANSACTION = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")


async def run(database: Database, *statements: Executable) -> None:
    """One transaction."""
    async with database.transaction() as connection:
        for statement in statements:
            await connection.execute(statement)


async def test_one_whose_statement_failed_is_not_said_to_be_committed(database: Database) -> None:
    async def swallow() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            with pytest.raises(IntegrityError):
                await connection.execute(INSERT)

    with pytest.raises(DatabaseError, match="rolled back"):
        await swallow()
    assert await database.fetch_value(COUNT) == 0


async def test_what_failed_within_a_savepoint_is_forgiven(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(INSERT)
        with suppress(IntegrityError):
            async with connection.begin_nested():
                await connection.execute(INSERT)
    assert await database.fetch_value(COUNT) == 1


async def test_a_constraint_that_is_checked_at_the_end_refuses(database: Database) -> None:
    deferred = text("CREATE TEMP TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await run(database, deferred, text("INSERT INTO t VALUES (1), (1)"))
    assert await database.fetch_value(IN_TRANSACTION) == 0


async def test_a_connection_that_ends_before_the_commit_is_an_error(database: Database) -> None:
    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            backend = (await connection.execute(ME)).scalar_one()
            await database.fetch_value(text(f"SELECT pg_terminate_backend({backend})"))

    with pytest.raises(DatabaseUnavailable):
        await work()
    assert await database.fetch_value(COUNT) == 0


async def test_a_commit_that_nobody_confirms_is_told(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.transactions.COMMIT_SECONDS", 0.2)
    # A trigger that runs at the commit, and takes its time.
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


async def test_who_leaves_while_it_is_rolled_back_leaves_no_transaction_behind(database: Database) -> None:
    stopped: list[int] = []

    async def work() -> None:
        async with database.transaction() as connection:
            await connection.execute(INSERT)
            stopped.append((await connection.execute(ME)).scalar_one())
            os.kill(stopped[0], signal.SIGSTOP)
            raise ZeroDivisionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0.3)
    assert stopped
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.kill(stopped[0], signal.SIGCONT)
    assert database.pool_in_use == 0
    await asyncio.sleep(0.1)
    assert await database.fetch_value(IN_TRANSACTION) == 0
    assert await database.fetch_value(COUNT) == 0


async def test_connections_that_died_idle_are_no_news(database_url: URL) -> None:
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


async def test_a_lock_that_is_not_to_be_had(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE models"))
        with pytest.raises(StatementTimeout):
            await run(database, text("SET LOCAL lock_timeout = '50ms'"), INSERT)
