"""Exhaustive tests beside the random ones: every field of every row, and every argument with every sample value."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLSchema,
    get_named_type,
    is_input_object_type,
    is_interface_type,
    is_leaf_type,
)

from tests.graph.oracle.harness import Harness
from tests.graph.oracle.records import Candle
from tests.graph.oracle.resolvers import RECORDS
from tests.graph.oracle.shrinking import Operation
from tests.graph.oracle.values import ValuePool, values
from tests.graph.oracle.world import key_of
from tests.graph.oracle.writing import literal

ENTITIES = [name for name, record_type in RECORDS.items() if record_type is not Candle]
# Connections of other types have only paging arguments.
WITH_ARGUMENTS = ["Query", "Cryptocurrency", "Strategy", "Model"]
PAGING = {"first", "after", "last", "before"}
MAX_ALIASES = 40


@pytest.mark.parametrize("name", ENTITIES)
def test_every_field_of_every_row(harness: Harness, name: str) -> None:
    selected = " ".join(_everything(harness.evaluator.schema, harness.evaluator.schema.type_map[name]))
    harness.check(_of_rows(harness, name, selected))


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_every_value_of_every_argument(harness: Harness, pool: ValuePool, name: str) -> None:
    type_: Any = harness.evaluator.schema.type_map[name]
    for field_name, field in type_.fields.items():
        if "after" not in field.args:
            continue
        tried = [f"{field_name}({arguments})" for arguments in _arguments(pool, field)]
        for start in range(0, len(tried), MAX_ALIASES):
            aliases = [
                f"a{number}: {written} {{ totalCount nodes {{ id }} }}"
                for number, written in enumerate(tried[start : start + MAX_ALIASES])
            ]
            selected = " ".join(aliases)
            harness.check(Operation(f"{{ {selected} }}", {}) if name == "Query" else _of_rows(harness, name, selected))


def _of_rows(harness: Harness, name: str, selected: str) -> Operation:
    keys = map(key_of, harness.world.all(RECORDS[name]))
    ids = [base64.b64encode(f"{name}:{key}".encode()).decode() for key in keys]
    text = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {name} {{ {selected} }} }} }}"
    return Operation(text, {"ids": ids})


def _everything(schema: GraphQLSchema, type_: Any) -> Iterator[str]:
    """All fields of an object: embedded objects with all their fields, other entities with their id."""
    for name, field in type_.fields.items():
        inner: Any = get_named_type(field.type)
        if is_leaf_type(inner):
            yield name
        elif inner.name.endswith("Connection"):
            yield f"{name} {{ totalCount nodes {{ id }} }}"
        elif any(is_interface_type(interface) for interface in inner.interfaces):
            yield f"{name} {{ id }}"
        else:
            yield f"{name} {{ {' '.join(_everything(schema, inner))} }}"


def _arguments(pool: ValuePool, field: GraphQLField) -> Iterator[str]:
    """The arguments of a connection, one at a time, and its filters one criterion at a time."""
    for name, argument in field.args.items():
        if name in PAGING:
            continue
        type_: Any = get_named_type(argument.type)
        if not is_input_object_type(type_) or type_.name == "TimeRange":
            yield from (f"{name}: {literal(value)}" for value in values(pool, name, argument.type))
            continue
        for key, part in type_.fields.items():
            yield from (f"{name}: {{{key}: {literal(value)}}}" for value in values(pool, key, part.type))
