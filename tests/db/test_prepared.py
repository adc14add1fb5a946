"""Reads by prepared statements: JSON as bytes, and recovery from lost, slow and cancelled connections."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text
from structlog.testing import capture_logs

from db.deadlines import deadline
from db.engine import Database
from db.errors import DatabaseUnavailable, Overloaded, Rejected, StatementTimeout
from tests.db.activity import Activity, watching

ONE = "SELECT to_json($1::int)"


@pytest.fixture
async def activity(database_url: URL) -> AsyncIterator[Activity]:
    async with watching(database_url) as activity:
        yield activity


@pytest.fixture
async def small(database_url: URL) -> AsyncIterator[Database]:
    """A database with two connections and a short timeout."""
    database = Database(database_url, pool_size=2, timeout_seconds=2)
    yield database
    assert database.pool_in_use == 0
    await database.close()


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_json_is_returned_as_bytes(database: Database, cache_statement: bool) -> None:
    statement = "SELECT to_json($1::text), NULL::json, '[\"é\"]'::json"
    row = await database.prepared.fetch_row(statement, ["ü"], cache_statement=cache_statement)
    assert list(row) == ['"ü"'.encode(), None, '["é"]'.encode()]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_only_cached_statements_stay_prepared(small: Database, cache_statement: bool) -> None:
    statement = f"SELECT to_json({'1' if cache_statement else '2'})"
    for _ in range(3):
        await small.prepared.fetch_row(statement, [], cache_statement=cache_statement)
    kept = "SELECT to_json(count(*)) FROM pg_prepared_statements WHERE statement = $1"
    # The first connection is idle, so the pool uses it again.
    assert list(await small.prepared.fetch_row(kept, [statement], cache_statement=True)) == [
        b"1" if cache_statement else b"0"
    ]


async def test_a_statement_of_any_length_is_cached(small: Database) -> None:
    statement = f"SELECT to_json('{'x' * 100_000}'::text)"
    for _ in range(2):
        await small.prepared.fetch_row(statement, [], cache_statement=True)
    kept = "SELECT to_json(count(*)) FROM pg_prepared_statements WHERE length(statement) > 100000"
    assert list(await small.prepared.fetch_row(kept, [], cache_statement=True)) == [b"1"]


async def test_reads_beyond_the_pool_size_wait_in_order(small: Database) -> None:
    order: list[int] = []

    async def read(number: int) -> None:
        await small.prepared.fetch_row("SELECT to_json($1::int) FROM pg_sleep(0.01)", [number], cache_statement=True)
        order.append(number)

    await asyncio.gather(*(read(number) for number in range(40)))
    assert len(order) == 40
    # A read may finish before one that runs concurrently, but no other.
    assert all(abs(place - number) <= 2 for place, number in enumerate(order))


async def test_a_wait_beyond_the_deadline_raises_overloaded(small: Database, activity: Activity) -> None:
    slow = [
        asyncio.create_task(small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(1)", [], cache_statement=True))
        for _ in range(2)
    ]
    await activity.seconds_until("pg_sleep", 2)
    with pytest.raises(Overloaded, match="busy"), deadline(0.1):
        await small.prepared.fetch_row(ONE, [1], cache_statement=True)
    await asyncio.gather(*slow)
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_idle_connections_that_were_lost_cause_no_errors(
    small: Database, database: Database, cache_statement: bool
) -> None:
    slow = "SELECT to_json(1) FROM pg_sleep(0.1)"
    await asyncio.gather(*(small.prepared.fetch_row(slow, [], cache_statement=True) for _ in range(2)))
    ended = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    assert await database.fetch_value(text(ended)) == 2
    for number in range(4):
        row = await small.prepared.fetch_row(ONE, [number], cache_statement=cache_statement)
        assert list(row) == [str(number).encode()]


async def test_a_connection_lost_twice_is_an_error(small: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="lost"):
        await small.prepared.fetch_row(
            "SELECT to_json(pg_terminate_backend(pg_backend_pid()))", [], cache_statement=True
        )
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_a_statement_beyond_the_timeout_is_cancelled(database_url: URL, cache_statement: bool) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.2)
    with pytest.raises(StatementTimeout):
        await database.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(2)", [], cache_statement=cache_statement)
    assert list(await database.prepared.fetch_row(ONE, [1], cache_statement=cache_statement)) == [b"1"]
    assert database.pool_in_use == 0
    await database.close()


async def test_a_statement_cancelled_by_the_server(small: Database, database: Database, activity: Activity) -> None:
    reading = asyncio.create_task(
        small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(1.5)", [], cache_statement=True)
    )
    await activity.seconds_until("pg_sleep(1.5)", 1)
    cancel = """SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE query LIKE '%pg_sleep(1.5)%' AND pid <> pg_backend_pid()"""
    assert await database.fetch_value(text(cancel))
    with pytest.raises(StatementTimeout):
        await reading
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


async def test_a_cancelled_read_returns_its_connection(small: Database, activity: Activity) -> None:
    for _ in range(5):
        reading = asyncio.create_task(
            small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(1)", [], cache_statement=True)
        )
        await activity.seconds_until("pg_sleep", 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert small.pool_in_use == 0
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


async def test_a_rejected_statement_keeps_its_connection(small: Database) -> None:
    backend = "SELECT to_json(pg_backend_pid())"
    backend_pid = await small.prepared.fetch_row(backend, [], cache_statement=True)
    rejecting = """SELECT to_json(candlegraph_refuse($1::text, '{"code": "NO"}'))"""
    with pytest.raises(Rejected) as rejected:
        await small.prepared.fetch_row(rejecting, ["because"], cache_statement=True)
    assert (rejected.value.code, str(rejected.value)) == ("NO", "because")
    # Too large for an int: the driver rejects it.
    with pytest.raises(Exception, match="invalid input for query argument"):
        await small.prepared.fetch_row(ONE, [2**40], cache_statement=True)
    assert list(await small.prepared.fetch_row(backend, [], cache_statement=True)) == list(backend_pid)


async def test_a_port_without_a_server(unused_tcp_port: int) -> None:
    url = URL.create("postgresql+asyncpg", "nobody", host="127.0.0.1", port=unused_tcp_port, database="none")
    database = Database(url, pool_size=1)
    with pytest.raises(DatabaseUnavailable):
        await database.prepared.fetch_row(ONE, [1], cache_statement=True)
    assert database.pool_in_use == 0
    await database.close()


async def test_echo_logs_every_statement(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, echo=True)
    with capture_logs() as logs:
        await database.prepared.fetch_row(ONE, [1], cache_statement=True)
    assert [entry["statement"] for entry in logs if entry["event"] == "statement"] == [ONE]
    await database.close()


async def test_connections_beyond_the_pool_are_closed(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, max_overflow=4)
    open_connections = "SELECT to_json(count(*)) FROM pg_stat_activity WHERE datname = current_database()"
    for _ in range(6):
        await asyncio.gather(
            *(database.prepared.fetch_row("SELECT pg_sleep(0.01)", [], cache_statement=True) for _ in range(5))
        )
    (count,) = await database.prepared.fetch_row(open_connections, [], cache_statement=True)
    assert int(count or 0) <= 2
    await database.close()
