"""The matrix: every field and every path, asked by everybody, from cold and warm plans and from each cache."""

import random
import re
from collections import Counter
from dataclasses import fields
from itertools import compress
from typing import Any

import orjson
import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    parse,
    validate,
    visit,
)
from sqlalchemy import URL

from db.engine import Database
from db.queries.viewers import Viewer
from graph.context import Context
from graph.identity.callers import Caller
from graph.identity.scopes import Scope
from graph.pipeline import Pipeline
from graph.request import GraphQLRequest
from graph.schema import create_schema
from graph.types import nodes
from tests.application import Client, FieldByField, context_of, serving
from tests.server.privacy.conftest import Expected
from tests.server.privacy.documents import VOLATILE, Document
from tests.server.privacy.seen import PRIVATE, shown_in, visible_to
from tests.server.privacy.world import BEN, REQUIRED, ROOT, Asker, askers


def test_every_field_is_asked_for(schema: GraphQLSchema, asked_for: list[Document]) -> None:
    """Of every type that a query can lead to; payloads are looked at elsewhere."""
    asked = {field for document in asked_for for field in _fields(schema, document)}
    there = {
        (type_.name, name)
        for type_ in _types(schema, "Query")
        for name, field in type_.fields.items()
        if get_named_type(field.type).name not in VOLATILE
    }
    assert there - asked == set()


def test_what_is_private_is_known(schema: GraphQLSchema) -> None:
    """Whoever adds a private type must say what of it somebody may see (tests/server/privacy/seen.py)."""
    assert set(nodes.PRIVATE) == PRIVATE
    said = {type_.name for type_ in schema.type_map.values() if "PRIVATE" in _directives(type_)}
    assert {name for name in said if not name.endswith(("Connection", "Edge"))} == PRIVATE


async def test_each_is_shown_what_is_theirs(world_url: URL, asked_for: list[Document], expected: Expected) -> None:
    """Twice, and the second time from memory; in another order for each document."""
    async with serving(world_url, **REQUIRED) as client:
        matrix = Matrix(client, asked_for, expected)
        await matrix.ask_all(rounds=2)
        for asker in askers():
            assert matrix.shown[asker.name] == await visible_to(asker, world_url), asker.name
        assert matrix.sources["hit-memory"] > len(asked_for)


async def test_without_the_cache(world_url: URL, asked_for: list[Document], expected: Expected) -> None:
    async with serving(world_url, **REQUIRED, cache_enabled=False) as client:
        await Matrix(client, *some(asked_for, expected, every=9), seed=2).ask_all(rounds=1)


async def test_from_redis(world_url: URL, asked_for: list[Document], expected: Expected, redis_url: str) -> None:
    settings = {**REQUIRED, "redis_url": redis_url}
    documents, answers = some(asked_for, expected, every=20)
    async with serving(world_url, **settings) as one, serving(world_url, **settings) as other:
        await Matrix(one, documents, answers, seed=3).ask_all(rounds=2)
        matrix = Matrix(other, documents, answers, seed=4)
        await matrix.ask_all(rounds=1)
        assert matrix.sources["hit-redis"] > len(documents)


@pytest.mark.parametrize(("user_id", "every"), [(None, 4), (BEN, 2), (ROOT, 7)])
async def test_the_first_wall_alone(
    world_url: URL, asked_for: list[Document], expected: Expected, user_id: int | None, every: int
) -> None:
    """Without PostgreSQL's; and field by field, as it is answered where there is no plan."""
    caller = Caller(user_id, frozenset({Scope.READ}), sees_all=user_id == ROOT)
    database = Database(world_url)
    operations = FieldByField(create_schema(), context_of(database))
    await compare(operations, caller, *some(asked_for, expected, every=every))
    await database.close()


@pytest.mark.parametrize(("user_id", "every"), [(None, 5), (BEN, 3)])
async def test_the_second_wall_alone(
    world_url: URL, asked_for: list[Document], expected: Expected, user_id: int | None, every: int
) -> None:
    """Statements that ask for everybody's rows get the viewer's. Users and keys are behind the first wall only."""
    database = Database(world_url, rls_enabled=True)
    whole = context_of(database)
    context = FirstWallDown(**{field.name: getattr(whole, field.name) for field in fields(whole)})
    behind = [not re.search(r"\bnode\(|\bnodes\(ids", document.text) for document in asked_for]
    documents, answers = some(
        list(compress(asked_for, behind)), {k: list(compress(v, behind)) for k, v in expected.items()}, every=every
    )
    await compare(FieldByField(create_schema(), context), Caller(user_id, frozenset({Scope.READ})), documents, answers)
    await database.close()


class FirstWallDown(Context):
    @property
    def viewer(self) -> Viewer:
        return Viewer(self.viewer_id, sees_all=True)


async def compare(operations: Pipeline, caller: Caller, documents: list[Document], answers: Expected) -> None:
    world = Asker("", None, caller.user_id, caller.sees_all).world
    for document, answer in zip(documents, answers[world], strict=True):
        found = await operations.answer(GraphQLRequest(*document, None, caller=caller))
        assert orjson.loads(found.body) == orjson.loads(answer), document


def some(documents: list[Document], answers: Expected, *, every: int) -> tuple[list[Document], Expected]:
    return documents[::every], {world: known[::every] for world, known in answers.items()}


class Matrix:
    """Everybody asks for everything, and what each is shown is noted."""

    def __init__(self, client: Client, asked_for: list[Document], expected: Expected, seed: int = 1) -> None:
        self.shown: dict[str, set[tuple[str, int]]] = {asker.name: set() for asker in askers()}
        self.sources = Counter[str]()
        self._client = client
        self._asked = list(zip(asked_for, zip(*expected.values(), strict=True), strict=True))
        self._worlds = list(expected)
        self._random = random.Random(seed)

    async def ask_all(self, *, rounds: int) -> None:
        everybody = askers()
        for document, answers in self._asked:
            known = dict(zip(self._worlds, answers, strict=True))
            for _ in range(rounds):
                for asker in self._random.sample(everybody, len(everybody)):
                    await self._ask(asker, document, known[asker.world])

    async def _ask(self, asker: Asker, document: Document, known: bytes) -> None:
        asked = {"query": document.text, "variables": document.variables}
        answer = await self._client.post("/graphql", json=asked, headers=asker.headers)
        assert answer.content == known, (asker.name, document)
        self.shown[asker.name] |= shown_in(known)
        self.sources[answer.headers.get("x-cache", "").partition(";")[0]] += 1
        if shown_in(known):
            assert answer.headers["cache-control"].endswith(("private", "no-store")), document
        assert "authorization" in answer.headers["vary"].lower()


def _types(schema: GraphQLSchema, root: str) -> list[GraphQLObjectType]:
    """The types that a root leads to, but for those of which nothing is data."""
    found: dict[str, Any] = {}
    waiting = [schema.type_map[root]]
    while waiting:
        type_ = waiting.pop()
        if type_.name in found or not hasattr(type_, "fields"):
            continue
        found[type_.name] = type_
        waiting += [get_named_type(field.type) for field in type_.fields.values()]
        if not isinstance(type_, GraphQLObjectType):
            waiting += schema.get_possible_types(type_)
    return [type_ for type_ in found.values() if isinstance(type_, GraphQLObjectType) and type_.name not in VOLATILE]


def _directives(type_: Any) -> str:
    definition = type_.extensions.get("strawberry-definition")
    return repr([getattr(directive, "scope", "") for directive in getattr(definition, "directives", None) or ()])


def _fields(schema: GraphQLSchema, document: Document) -> set[tuple[str, str]]:
    """The fields that a document selects, each with the type that it is of."""
    parsed = parse(document.text)
    assert validate(schema, parsed) == [], document.text
    info = TypeInfo(schema)
    found = set()

    class Noting(Visitor):
        def enter_field(self, node: Any, *_: Any) -> None:
            parent = info.get_parent_type()
            assert parent is not None
            found.add((parent.name, node.name.value))

    visit(parsed, TypeInfoVisitor(info, Noting()))
    return found
