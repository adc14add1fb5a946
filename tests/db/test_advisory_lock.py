"""Advisory locks of processes, on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text

from db import advisory_lock
from db.advisory_lock import AdvisoryLocks
from db.engine import Database, driver_url
from db.errors import DatabaseUnavailable
from tests.waiting import eventually

HOLDERS = """
SELECT DISTINCT pid FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND d.datname = current_database()
"""


@pytest.fixture
async def two(database: Database) -> AsyncIterator[tuple[AdvisoryLocks, AdvisoryLocks]]:
    """The locks of two processes."""
    locks = AdvisoryLocks(database), AdvisoryLocks(database)
    yield locks
    for each in locks:
        await each.close()


async def holders(database: Database) -> list[int]:
    return [row.pid for row in await database.fetch_rows(text(HOLDERS))]


async def terminate_holders(database: Database) -> None:
    for pid in await holders(database):
        await database.fetch_value(text(f"SELECT pg_terminate_backend({pid})"))


async def test_one_process_holds_a_lock(database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks]) -> None:
    first, second = two
    assert await first.acquire("a")
    assert await first.acquire("a")
    assert not await second.acquire("a")
    assert await second.acquire("b")
    assert not await first.acquire("b")
    assert (first.holds("a"), first.holds("b"), second.holds("a"), second.holds("b")) == (True, False, False, True)
    # Once is enough, however often it was acquired.
    await first.release("a")
    assert not first.holds("a")
    assert await second.acquire("a")
    assert len(await holders(database)) == 1


async def test_databases_do_not_share_locks(
    postgres: URL, database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks]
) -> None:
    other = Database(postgres, pool_size=1)
    elsewhere = AdvisoryLocks(other)
    assert await two[0].acquire("a")
    assert await elsewhere.acquire("a")
    await elsewhere.close()
    await other.close()


async def test_closing_releases_locks(database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks]) -> None:
    first, second = two
    assert await first.acquire("a")
    await first.close()
    assert not first.holds("a")
    await eventually(lambda: second.acquire("a"))
    # It may be used again.
    assert await first.acquire("b")


async def test_a_holder_notices_that_its_connection_is_closed(
    database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks]
) -> None:
    first, second = two
    assert await first.acquire("a")
    await terminate_holders(database)
    await eventually(lambda: not first.holds("a"))
    await eventually(lambda: second.acquire("a"))
    assert not await first.acquire("a")


async def test_a_block_is_cancelled_when_its_lock_is_lost(
    database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks]
) -> None:
    assert await two[0].acquire("a")
    has_begun = asyncio.Event()

    async def block() -> None:
        async with two[0].while_held("a"):
            has_begun.set()
            await asyncio.sleep(60)

    running = asyncio.create_task(block())
    await has_begun.wait()
    await terminate_holders(database)
    with pytest.raises(DatabaseUnavailable, match="held the lock"):
        await asyncio.wait_for(running, 10)
    with pytest.raises(DatabaseUnavailable):
        async with two[0].while_held("a"):
            pytest.fail("It is not held.")


async def test_a_timeout_within_a_block_is_not_a_lost_lock(two: tuple[AdvisoryLocks, AdvisoryLocks]) -> None:
    assert await two[0].acquire("a")
    with pytest.raises(TimeoutError):
        async with two[0].while_held("a"):
            raise TimeoutError
    assert two[0].holds("a")


async def test_a_connection_that_does_not_answer_is_given_up(
    database: Database, two: tuple[AdvisoryLocks, AdvisoryLocks], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await two[0].acquire("a")
    monkeypatch.setattr(advisory_lock, "STATEMENT_SECONDS", 0.05)
    monkeypatch.setattr(advisory_lock, "_PING", "SELECT pg_sleep(30)")
    with pytest.raises(DatabaseUnavailable):
        await two[0].check()
    assert not two[0].holds("a")
    # Nothing is held, so there is nothing to check.
    await two[0].check()


async def test_without_a_database() -> None:
    database = Database(driver_url("postgresql://nobody@127.0.0.1:1/none"))
    locks = AdvisoryLocks(database)
    with pytest.raises(DatabaseUnavailable):
        await locks.acquire("a")
    assert not locks.holds("a")
    await locks.close()
    await database.close()
