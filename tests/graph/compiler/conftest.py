"""A database with the library's tables, and a client that counts the statements of each answer."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
import strawberry
from sqlalchemy import URL, event

from db.engine import Database
from graph.compiler.executor import StatementExecutor
from tests.conftest import create_database
from tests.graph.compiler import tables
from tests.graph.compiler.library import Author, Book, Query, Review


class Client:
    """Executes operations of one schema, and records the statements of the last one."""

    def __init__(self, schema: strawberry.Schema, database: Database) -> None:
        self.schema = schema
        self.reader = database
        self.statements: list[str] = []
        # The parents that the resolvers of loans.py return, and how many events a subscription has.
        self.parents: list[Any] = []
        self.events = 0
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._record)

    @property
    def count(self) -> int:
        return len(self.statements)

    async def ask(self, query: str, /, **variables: Any) -> Any:
        """The data of an operation that must have no errors."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def answer(self, query: str, /, **variables: Any) -> Any:
        """Data and errors as a client parses them."""
        self.statements.clear()
        result = await self.schema.execute(query, variables, context_value=self)
        errors = {"errors": [error.formatted for error in result.errors]} if result.errors else {}
        return parsed({"data": result.data, **errors})

    def _record(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        self.statements.append(statement)


def parsed(answer: Any) -> Any:
    """An answer as a client parses it. Fails if an object has two fields of one name, which parsers accept."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), [name for name, _ in pairs]
        return dict(pairs)

    return json.loads(orjson.dumps(answer), object_pairs_hook=unique)


@pytest.fixture(scope="session")
def library_url(postgres: URL) -> URL:
    """The URL of the library's database. All tests share it: they only read."""

    async def prepare() -> URL:
        url = await create_database(postgres, "library")
        database = Database(url, pool_size=1)
        async with database.transaction() as connection:
            await tables.fill(connection)
        await database.close()
        return url

    return asyncio.run(prepare())


@pytest.fixture
async def library_database(library_url: URL) -> AsyncIterator[Database]:
    database = Database(library_url, pool_size=4)
    yield database
    # After an error in one relation, the statements of other relations may still be running.
    if unfinished := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(unfinished, timeout=5)
    assert database.pool_in_use == 0
    await database.close()


@functools.cache
def schema_of(**roots: Any) -> strawberry.Schema:
    """A schema with these root types. Cached: to build it takes longer than a test."""
    return strawberry.Schema(**roots, types=[Author, Book, Review], execution_context_class=StatementExecutor)


@pytest.fixture
def client_of(library_database: Database) -> Callable[..., Client]:
    """A client of a schema with these root types."""
    return lambda **roots: Client(schema_of(**roots), library_database)


@pytest.fixture
def library(client_of: Callable[..., Client]) -> Client:
    return client_of(query=Query)
