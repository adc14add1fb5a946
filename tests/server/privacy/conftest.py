"""The world of the privacy tests, and the expected answers of each viewer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from graphql import GraphQLSchema
from sqlalchemy import URL

from db.engine import Database
from graph.graphql_core_compat import graphql_schema
from graph.identity.callers import Caller
from graph.identity.scopes import Scope
from graph.pipeline import Pipeline
from graph.plan_cache import PlanCache
from graph.request import GraphQLRequest
from graph.schema import create_schema
from tests.application import context_of, serving
from tests.conftest import TEMPLATE, create_database
from tests.server.privacy import world
from tests.server.privacy.documents import Document, documents
from tests.server.privacy.visibility import all_ids, pages, strategies_of_others

# By world and by document.
Expected: TypeAlias = dict[str, list[bytes]]
# The viewers of the smaller worlds.
VIEWERS = {"of_anonymous": None, "of_ann": world.ANN, "of_ben": world.BEN, "of_root": world.ROOT}


@pytest.fixture(scope="session")
def schema() -> GraphQLSchema:
    return graphql_schema(create_schema())


@pytest.fixture(scope="session")
def worlds(postgres: URL, template: URL) -> dict[str, URL]:
    """The whole world, and a copy for each viewer without the rows that are invisible to them."""

    async def create() -> dict[str, URL]:
        urls = {"everything": await create_database(postgres, "everything", template=TEMPLATE)}
        database = Database(urls["everything"], pool_size=1)
        await world.create(database)
        await database.close()
        for name, viewer in VIEWERS.items():
            urls[name] = await create_database(postgres, name, template="everything")
            database = Database(urls[name], pool_size=1)
            await world.delete_invisible(database, viewer)
            await database.close()
        return urls

    return asyncio.run(create())


@pytest.fixture(scope="session")
def world_url(worlds: dict[str, URL]) -> URL:
    return worlds["everything"]


@pytest.fixture(scope="session")
def all_documents(schema: GraphQLSchema, world_url: URL) -> list[Document]:
    """Documents for all paths in the schema, for pages from the cursors of all rows, and for strategies of others."""

    async def make() -> list[Document]:
        async with serving_open(world_url) as client:
            return [
                *documents(schema, await all_ids(world_url)),
                *await pages(client, schema),
                *strategies_of_others(),
            ]

    return asyncio.run(make())


@pytest.fixture(scope="session")
def expected(worlds: dict[str, URL], all_documents: list[Document]) -> Expected:
    """The answers for each world to a viewer who sees all."""

    async def ask(name: str, plans: PlanCache) -> list[bytes]:
        database = Database(worlds[name])
        # A viewer who sees all has the same plans in each world.
        operations = Pipeline(create_schema(), replace(context_of(database), plans=plans))
        caller = Caller(VIEWERS.get(name, world.ROOT), frozenset({Scope.READ}), sees_all=True)
        answers = [
            await operations.answer(GraphQLRequest(*document, None, caller=caller)) for document in all_documents
        ]
        await database.close()
        failed = zip(all_documents, answers, strict=True)
        assert [pair for pair in failed if not pair[1].body.startswith(b'{"data":')][:1] == []
        return [answer.body for answer in answers]

    async def send_all() -> Expected:
        plans = PlanCache()
        return {name: await ask(name, plans) for name in worlds}

    return asyncio.run(send_all())


def serving_open(url: URL) -> Any:
    return serving(url, auth_mode="open", secret_key=world.SECRET, cache_enabled=False)


@pytest.fixture(scope="session")
def copies(postgres: URL, world_url: URL) -> Callable[[], Awaitable[URL]]:
    """Makes copies of the world, for tests that change it."""
    made = 0

    async def copy() -> URL:
        nonlocal made
        made += 1
        return await create_database(postgres, f"privacy_{made}", template="everything")

    return copy
