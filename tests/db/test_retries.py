"""Transactions that conflict: one of them is run again."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from graphql import GraphQLError
from sqlalchemy import text

from db.engine import Database
from db.errors import Conflict, DatabaseError, StatementTimeout
from db.retries import retry_on_conflict
from graph.errors import present

ADD = "UPDATE models SET accuracy = accuracy + 0.25 WHERE version = :version"
SUM = "SELECT sum(accuracy) FROM models"


@pytest.fixture(autouse=True)
async def two_rows(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text("INSERT INTO models (name, version, accuracy) VALUES ('m', '1', 0), ('m', '2', 0)")
        )


def adding(database: Database, versions: str, barrier: asyncio.Barrier) -> Callable[[], Awaitable[str]]:
    """A transaction that updates the rows in this order. In its first run it waits at the barrier in between."""
    runs = 0

    async def work() -> str:
        nonlocal runs
        runs += 1
        async with database.transaction() as connection:
            await connection.execute(text("SET LOCAL deadlock_timeout = '50ms'"))
            await connection.execute(text(ADD), {"version": versions[0]})
            if runs == 1:
                await barrier.wait()
            await connection.execute(text(ADD), {"version": versions[1]})
        return f"{versions} {runs}"

    return work


async def test_a_deadlock_is_run_again(database: Database) -> None:
    barrier = asyncio.Barrier(2)
    ended = await asyncio.gather(
        retry_on_conflict(adding(database, "12", barrier)), retry_on_conflict(adding(database, "21", barrier))
    )
    assert sorted(end[-1] for end in ended) == ["1", "2"]
    assert await database.fetch_value(text(SUM)) == 1


async def test_without_retries_a_deadlock_is_a_conflict(database: Database) -> None:
    barrier = asyncio.Barrier(2)
    works = [adding(database, "12", barrier)(), adding(database, "21", barrier)()]
    ended = await asyncio.gather(*works, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["Conflict", "str"]
    assert await database.fetch_value(text(SUM)) == 0.5


async def test_a_serialization_failure_is_run_again(database: Database) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        async with database.transaction() as connection:
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            await connection.execute(text(SUM))
            if runs == 1:
                async with database.transaction() as other:
                    await other.execute(text(ADD), {"version": "1"})
            await connection.execute(text(ADD), {"version": "1"})

    await retry_on_conflict(work)
    assert runs == 2
    assert await database.fetch_value(text(SUM)) == 0.5


@pytest.mark.parametrize(("error", "expected"), [(Conflict("Again."), 4), (StatementTimeout(), 1), (ValueError(), 1)])
async def test_only_conflicts_are_run_again_and_a_limited_number_of_times(error: Exception, expected: int) -> None:
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise error

    with pytest.raises(type(error)):
        await retry_on_conflict(work)
    assert runs == expected


def test_clients_get_the_error_code_conflict() -> None:
    conflict = Conflict("Another request changed the same rows at the same time: try again.")
    [shown] = present([GraphQLError("", original_error=conflict)])
    assert (shown["message"], shown["extensions"]) == (str(conflict), {"code": "CONFLICT"})
    assert isinstance(conflict, DatabaseError)
