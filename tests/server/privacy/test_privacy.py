"""The privacy matrix: every field and path, for every principal, from cold and warm plans and from each cache."""

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
from graph.types.nodes import NODE_MODELS
from tests.application import Client, FieldByField, context_of, serving
from tests.server.privacy.conftest import Expected
from tests.server.privacy.documents import VOLATILE, Document
from tests.server.privacy.visibility import PRIVATE, paged_fields, shown_in, visible_to
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, Principal, by_token, principals


def test_every_field_is_requested(schema: GraphQLSchema, all_documents: list[Document]) -> None:
    """Of every type that a query can lead to; test_payloads.py tests payloads."""
    requested = {field for document in all_documents for field in _fields(schema, document)}
    existing = {
        (type_.name, name)
        for type_ in _types(schema, "Query")
        for name, field in type_.fields.items()
        if get_named_type(field.type).name not in VOLATILE
    }
    assert existing - requested == set()


def test_every_node_type_is_registered(schema: GraphQLSchema) -> None:
    types = {type_.name for type_ in schema.get_implementations(schema.type_map["Node"]).objects}  # type: ignore[arg-type]
    assert types == set(NODE_MODELS), "add the query by id to graph/types/nodes.py"


def test_private_models_have_private_types(schema: GraphQLSchema) -> None:
    """The scope of a type's directive and the owner of its model are declared apart, and must agree."""
    private = {type_.name for type_ in schema.type_map.values() if "PRIVATE" in _directives(type_)}
    assert {name for name in private if not name.endswith(("Connection", "Edge"))} == PRIVATE


def test_private_connections_are_paged(schema: GraphQLSchema) -> None:
    assert {field for field, _ in paged_fields(schema)} >= {"strategies", "signals", "trades", "alerts"}
    assert ("trades", "trades(@, orderBy: OLDEST_FIRST)") in paged_fields(schema)


async def test_each_private_type_has_rows_of_two_users(world_url: URL) -> None:
    ann, ben = await visible_to(by_token(ANN), world_url), await visible_to(by_token(BEN), world_url)
    for visible in (ann - ben, ben - ann):
        assert {type_name for type_name, _ in visible} == PRIVATE, "add rows of each user to world.py"


async def test_each_principal_is_shown_the_visible_rows(
    world_url: URL, all_documents: list[Document], expected: Expected
) -> None:
    """Twice, the second time from memory; in another order for each document."""
    async with serving(world_url, **REQUIRED) as client:
        matrix = Matrix(client, all_documents, expected)
        await matrix.send_all(rounds=2)
        for principal in principals():
            assert matrix.shown[principal.name] == await visible_to(principal, world_url), principal.name
        assert matrix.sources["hit-memory"] > len(all_documents)


async def test_without_the_cache(world_url: URL, all_documents: list[Document], expected: Expected) -> None:
    async with serving(world_url, **REQUIRED, cache_enabled=False) as client:
        await Matrix(client, *sample(all_documents, expected, every=9), seed=2).send_all(rounds=1)


async def test_from_redis(world_url: URL, all_documents: list[Document], expected: Expected, redis_url: str) -> None:
    settings = {**REQUIRED, "redis_url": redis_url}
    documents, answers = sample(all_documents, expected, every=20)
    async with serving(world_url, **settings) as one, serving(world_url, **settings) as other:
        await Matrix(one, documents, answers, seed=3).send_all(rounds=2)
        matrix = Matrix(other, documents, answers, seed=4)
        await matrix.send_all(rounds=1)
        assert matrix.sources["hit-redis"] > len(documents)


@pytest.mark.parametrize(("user_id", "every"), [(None, 4), (BEN, 2), (ROOT, 7)])
async def test_criteria_of_queries_alone(
    world_url: URL, all_documents: list[Document], expected: Expected, user_id: int | None, every: int
) -> None:
    """Without row security; field by field, as operations without a plan are answered."""
    caller = Caller(user_id, frozenset({Scope.READ}), sees_all=user_id == ROOT)
    database = Database(world_url)
    operations = FieldByField(create_schema(), context_of(database))
    await compare(operations, caller, *sample(all_documents, expected, every=every))
    await database.close()


@pytest.mark.parametrize(("user_id", "every"), [(None, 5), (BEN, 3)])
async def test_row_security_alone(
    world_url: URL, all_documents: list[Document], expected: Expected, user_id: int | None, every: int
) -> None:
    """Statements for all rows get those of the viewer. Users and keys are protected by the criteria of queries only."""
    database = Database(world_url, rls_enabled=True)
    whole = context_of(database)
    context = WithoutCriteria(**{field.name: getattr(whole, field.name) for field in fields(whole)})
    is_protected = [not re.search(r"\bnode\(|\bnodes\(ids", document.text) for document in all_documents]
    documents, answers = sample(
        list(compress(all_documents, is_protected)),
        {world: list(compress(answers, is_protected)) for world, answers in expected.items()},
        every=every,
    )
    await compare(FieldByField(create_schema(), context), Caller(user_id, frozenset({Scope.READ})), documents, answers)
    await database.close()


class WithoutCriteria(Context):
    @property
    def viewer(self) -> Viewer:
        return Viewer(self.viewer_id, sees_all=True)


async def compare(operations: Pipeline, caller: Caller, documents: list[Document], answers: Expected) -> None:
    world = Principal("", None, caller.user_id, caller.sees_all).world
    for document, answer in zip(documents, answers[world], strict=True):
        found = await operations.answer(GraphQLRequest(*document, None, caller=caller))
        assert orjson.loads(found.body) == orjson.loads(answer), document


def sample(documents: list[Document], answers: Expected, *, every: int) -> tuple[list[Document], Expected]:
    """One of every so many documents, with its expected answers."""
    return documents[::every], {world: bodies[::every] for world, bodies in answers.items()}


class Matrix:
    """Sends every document as every principal, and records the private rows that each is shown."""

    def __init__(self, client: Client, all_documents: list[Document], expected: Expected, seed: int = 1) -> None:
        self.shown: dict[str, set[tuple[str, int]]] = {principal.name: set() for principal in principals()}
        self.sources = Counter[str]()
        self._client = client
        self._expected = list(zip(all_documents, zip(*expected.values(), strict=True), strict=True))
        self._worlds = list(expected)
        self._random = random.Random(seed)

    async def send_all(self, *, rounds: int) -> None:
        senders = principals()
        for document, answers in self._expected:
            by_world = dict(zip(self._worlds, answers, strict=True))
            for _ in range(rounds):
                for principal in self._random.sample(senders, len(senders)):
                    await self._send(principal, document, by_world[principal.world])

    async def _send(self, principal: Principal, document: Document, expected: bytes) -> None:
        body = {"query": document.text, "variables": document.variables}
        answer = await self._client.post("/graphql", json=body, headers=principal.headers)
        assert answer.content == expected, (principal.name, document)
        self.shown[principal.name] |= shown_in(expected)
        self.sources[answer.headers.get("x-cache", "").partition(";")[0]] += 1
        if shown_in(expected):
            assert answer.headers["cache-control"].endswith(("private", "no-store")), document
        assert "authorization" in answer.headers["vary"].lower()


def _types(schema: GraphQLSchema, root: str) -> list[GraphQLObjectType]:
    """The types that a root leads to, without those that are not data."""
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
    """The fields that a document selects, as pairs of the parent type and the field."""
    parsed = parse(document.text)
    assert validate(schema, parsed) == [], document.text
    info = TypeInfo(schema)
    found = set()

    class Fields(Visitor):
        def enter_field(self, node: Any, *_: Any) -> None:
            parent = info.get_parent_type()
            assert parent is not None
            found.add((parent.name, node.name.value))

    visit(parsed, TypeInfoVisitor(info, Fields()))
    return found
