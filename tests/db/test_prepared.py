"""Reads on the driver's connections: JSON as bytes, whatever happens to a connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import URL, text
from structlog.testing import capture_logs

from db.deadlines import deadline
from db.engine import Database
from db.errors import DatabaseUnavailable, Overloaded, Rejected, StatementTimeout

ONE = "SELECT to_json($1::int)"


@pytest.fixture
async def small(database_url: URL) -> AsyncIterator[Database]:
    """A database with two connections and little patience."""
    database = Database(database_url, pool_size=2, timeout_seconds=2)
    yield database
    assert database.pool_in_use == 0
    await database.close()


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_json_comes_as_bytes(database: Database, cache_statement: bool) -> None:
    statement = "SELECT to_json($1::text), NULL::json, '[\"é\"]'::json"
    row = await database.prepared.fetch_row(statement, ["ü"], cache_statement=cache_statement)
    assert list(row) == ['"ü"'.encode(), None, '["é"]'.encode()]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_only_what_is_to_be_kept_stays_prepared(small: Database, cache_statement: bool) -> None:
    statement = f"SELECT to_json({'1' if cache_statement else '2'})"
    for _ in range(3):
        await small.prepared.fetch_row(statement, [], cache_statement=cache_statement)
    kept = "SELECT to_json(count(*)) FROM pg_prepared_statements WHERE statement = $1"
    # The first connection is idle, so it is the one that comes next.
    assert list(await small.prepared.fetch_row(kept, [statement], cache_statement=True)) == [
        b"1" if cache_statement else b"0"
    ]


async def test_a_statement_of_any_length_is_kept(small: Database) -> None:
    statement = f"SELECT to_json('{'x' * 100_000}'::text)"
    for _ in range(2):
        await small.prepared.fetch_row(statement, [], cache_statement=True)
    kept = "SELECT to_json(count(*)) FROM pg_prepared_statements WHERE length(statement) > 100000"
    assert list(await small.prepared.fetch_row(kept, [], cache_statement=True)) == [b"1"]


async def test_more_reads_than_connections_wait_their_turn(small: Database) -> None:
    order: list[int] = []

    async def read(number: int) -> None:
        await small.prepared.fetch_row("SELECT to_json($1::int) FROM pg_sleep(0.01)", [number], cache_statement=True)
        order.append(number)

    await asyncio.gather(*(read(number) for number in range(40)))
    assert len(order) == 40
    # Who came later may overtake one that runs beside, and nobody else.
    assert all(abs(place - number) <= 2 for place, number in enumerate(order))


async def test_who_waits_too_long_is_told(small: Database) -> None:
    slow = [
        asyncio.create_task(small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(0.5)", [], cache_statement=True))
        for _ in range(2)
    ]
    await asyncio.sleep(0.1)
    with pytest.raises(Overloaded, match="busy"), deadline(0.1):
        await small.prepared.fetch_row(ONE, [1], cache_statement=True)
    await asyncio.gather(*slow)
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_connections_that_died_idle_are_no_news(
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


async def test_a_connection_that_dies_twice_is_an_error(small: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="lost"):
        await small.prepared.fetch_row(
            "SELECT to_json(pg_terminate_backend(pg_backend_pid()))", [], cache_statement=True
        )
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


@pytest.mark.parametrize("cache_statement", [True, False])
async def test_a_server_that_does_not_answer_is_given_up(database_url: URL, cache_statement: bool) -> None:
    database = Database(database_url, pool_size=1, timeout_seconds=0.2)
    with pytest.raises(StatementTimeout):
        await database.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(2)", [], cache_statement=cache_statement)
    assert list(await database.prepared.fetch_row(ONE, [1], cache_statement=cache_statement)) == [b"1"]
    assert database.pool_in_use == 0
    await database.close()


async def test_a_statement_that_the_server_cancels(small: Database, database: Database) -> None:
    reading = asyncio.create_task(
        small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(1.5)", [], cache_statement=True)
    )
    await asyncio.sleep(0.3)
    cancel = """SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE query LIKE '%pg_sleep(1.5)%' AND pid <> pg_backend_pid()"""
    assert await database.fetch_value(text(cancel))
    with pytest.raises(StatementTimeout):
        await reading
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


async def test_a_cancelled_read_gives_its_connection_back(small: Database) -> None:
    for _ in range(5):
        reading = asyncio.create_task(
            small.prepared.fetch_row("SELECT to_json(1) FROM pg_sleep(1)", [], cache_statement=True)
        )
        await asyncio.sleep(0.05)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert small.pool_in_use == 0
    assert list(await small.prepared.fetch_row(ONE, [1], cache_statement=True)) == [b"1"]


async def test_what_the_statement_refuses_leaves_the_connection_whole(small: Database) -> None:
    backend = "SELECT to_json(pg_backend_pid())"
    before = await small.prepared.fetch_row(backend, [], cache_statement=True)
    refuse = """SELECT to_json(candlegraph_refuse($1::text, '{"code": "NO"}'))"""
    with pytest.raises(Rejected) as refused:
        await small.prepared.fetch_row(refuse, ["because"], cache_statement=True)
    assert (refused.value.code, str(refused.value)) == ("NO", "because")
    # Too large for an int: the driver itself refuses that.
    with pytest.raises(Exception, match="invalid input for query argument"):
        await small.prepared.fetch_row(ONE, [2**40], cache_statement=True)
    assert list(await small.prepared.fetch_row(backend, [], cache_statement=True)) == list(before)


async def test_a_database_that_is_not_there(unused_tcp_port: int) -> None:
    url = URL.create("postgresql+asyncpg", "nobody", host="127.0.0.1", port=unused_tcp_port, database="none")
    database = Database(url, pool_size=1)
    with pytest.raises(DatabaseUnavailable):
        await database.prepared.fetch_row(ONE, [1], cache_statement=True)
    assert database.pool_in_use == 0
    await database.close()


async def test_debug_shows_every_statement(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, echo=True)
    with capture_logs() as logs:
        await database.prepared.fetch_row(ONE, [1], cache_statement=True)
    assert [entry["statement"] for entry in logs if entry["event"] == "statement"] == [ONE]
    await database.close()


async def test_connections_beyond_the_pool_are_closed(database_url: URL) -> None:
    database = Database(database_url, pool_size=1, max_overflow=4)
    open_ones = "SELECT to_json(count(*)) FROM pg_stat_activity WHERE datname = current_database()"
    for _ in range(6):
        await asyncio.gather(
            *(database.prepared.fetch_row("SELECT pg_sleep(0.01)", [], cache_statement=True) for _ in range(5))
        )
    (count,) = await database.prepared.fetch_row(open_ones, [], cache_statement=True)
    assert int(count or 0) <= 2
    await database.close()
