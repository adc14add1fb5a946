"""The private rows that a principal may see, by SQL, and those that an answer shows."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import asyncpg
from graphql import GraphQLSchema, get_named_type
from sqlalchemy import URL

from graph.types.nodes import NODE_MODELS
from tests.application import Client
from tests.server.privacy.documents import ALIAS, Document, id_of, read_id
from tests.server.privacy.world import USERS, Principal

PRIVATE = {name for name, model in NODE_MODELS.items() if model.access.is_private}
STRATEGIES = {user_id: [id_of("Strategy", 2 * user_id - 1), id_of("Strategy", 2 * user_id)] for user_id in USERS}
EDGES = "{ totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } }"


def table_of(type_name: str) -> str:
    return NODE_MODELS[type_name].table().name


def key_of(type_name: str) -> str:
    (column,) = NODE_MODELS[type_name].table().primary_key
    return column.name


async def fetch(url: URL, query: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        return [row[0] for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def all_ids(url: URL) -> dict[str, list[str]]:
    """The ids of all rows, by type."""
    return {
        name: [id_of(name, key) for key in await fetch(url, f"SELECT {key_of(name)} FROM {table_of(name)} ORDER BY 1")]
        for name in NODE_MODELS
    }


async def visible_to(principal: Principal, url: URL) -> set[tuple[str, int]]:
    """The private rows that a principal may see, as pairs of type and key."""
    found = set()
    for name in PRIVATE:
        access = NODE_MODELS[name].access
        allowed = f"$1 OR {access.owned_by} = $2"
        if access.shared_without_owner:
            allowed += f" OR ({access.owned_by} IS NULL AND $2 IS NOT NULL)"
        query = f"SELECT {key_of(name)} FROM {table_of(name)} WHERE {allowed}".replace("$2", "$2::bigint")
        found |= {(name, row) for row in await fetch(url, query, principal.sees_all, principal.user_id)}
    return found


@cache
def shown_in(answer: bytes) -> set[tuple[str, int]]:
    """The private rows that an answer shows: those whose id it contains."""
    return {row for row in map(read_id, _ids(json.loads(answer))) if row[0] in PRIVATE}


def _ids(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part[name] for name in ("id", f"{ALIAS}id") if isinstance(part.get(name), str))
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _ids(inner)


def paged_fields(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """The root's connections of private rows, once for each order: the field, and the field with arguments."""
    assert schema.query_type is not None
    for name, field in schema.query_type.fields.items():
        if get_named_type(field.type).name.removesuffix("Connection") in PRIVATE and "first" in field.args:
            order = field.args.get("orderBy")
            values = [] if order is None else get_named_type(order.type).values
            for arguments in [f"@, orderBy: {value}" for value in values] or ["@"]:
                yield name, f"{name}({arguments})"


async def pages(client: Client, schema: GraphQLSchema) -> list[Document]:
    """Pages of the root and of the viewer, forward and backward, from cursors of all users' rows."""
    found = []
    for field, called in paged_fields(schema):
        whole = await client.data(f"{{ {called.replace('@', 'first: 100')} {{ edges {{ cursor }} }} }}")
        cursors = [edge["cursor"] for edge in whole[field]["edges"]][::3]
        for number, rows in enumerate(("first: 2, after: $c", "last: 2, before: $c")):
            page = called.replace("@", rows)
            text = f"query($c: String) {{ page: {page} {EDGES} viewer {{ {page} {EDGES} }} }}"
            found += [Document(text, {"c": cursor}) for cursor in cursors[number:]]
        found.append(Document(f"{{ {called.replace('@', 'last: 3')} {EDGES} }}"))
    return found


def strategies_of_others() -> list[Document]:
    """Signals and trades filtered by a strategy of each user."""
    text = (
        "query($id: ID!) {{ {0}(filter: {{strategyId: $id}}) {1} viewer {{ {0}(filter: {{strategyId: $id}}) {1} }}"
        ' cryptocurrency(symbol: "AAA") {{ {0}(filter: {{strategyId: $id}}) {1} }} }}'
    )
    return [
        Document(text.format(field, EDGES), {"id": id_})
        for field in ("signals", "trades")
        for ids in STRATEGIES.values()
        for id_ in ids
    ]
