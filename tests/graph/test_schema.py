"""The schema as clients see it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    is_introspection_type,
    is_specified_scalar_type,
)
from strawberry.utils.str_converters import to_snake_case

from db import models
from graph.graphql_core_compat import graphql_schema
from graph.schema import create_schema

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = create_schema()
TYPES = {
    name: type_
    for name, type_ in graphql_schema(SCHEMA).type_map.items()
    if not is_introspection_type(type_) and not is_specified_scalar_type(type_)
}


def described() -> Iterator[tuple[str, str | None]]:
    for name, type_ in TYPES.items():
        yield name, type_.description
        if isinstance(type_, GraphQLEnumType):
            for value, definition in type_.values.items():
                yield f"{name}.{value}", definition.description
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field, part in type_.fields.items():
                yield f"{name}.{field}", part.description
                for argument, definition in getattr(part, "args", {}).items():
                    yield f"{name}.{field}({argument})", definition.description


def test_schema_graphql_is_up_to_date() -> None:
    printed = (ROOT / "schema.graphql").read_text()
    assert printed == SCHEMA.as_str() + "\n", "run: candlegraph schema > schema.graphql"


def test_everything_has_a_description() -> None:
    assert [name for name, description in described() if not description] == []


def test_no_default_is_printed_as_null() -> None:
    assert "= null" not in SCHEMA.as_str()


@pytest.mark.parametrize(
    "name", ["Alert", "Candle", "Cryptocurrency", "Model", "Sentiment", "Signal", "Strategy", "Trade", "Prediction"]
)
def test_a_non_null_field_of_a_column_has_a_non_null_column(name: str) -> None:
    """The statement returns the column as it is: no executor would notice a null."""
    model = getattr(models, name)
    fields = TYPES[name].fields  # type: ignore[union-attr]
    for field, definition in fields.items():
        column = model.__table__.c.get(to_snake_case(field))
        if isinstance(definition.type, GraphQLNonNull) and column is not None:
            assert not column.nullable, f"{name}.{field}"


def test_enumerations_have_the_values_of_the_check_constraints() -> None:
    """An enumeration is stored as its names: a check constraint lists them."""
    stored = {
        "Interval": ("cryptocurrencies", "base_interval"),
        "SignalType": ("signals", "signal_type"),
        "TradeSide": ("trades", "trade_type"),
        "TradeStatus": ("trades", "status"),
        "AlertType": ("alerts", "alert_type"),
    }
    for name, (table, column) in stored.items():
        checks = models.Base.metadata.tables[table].constraints
        (check,) = [check for check in checks if str(check.name) == f"ck_{table}_{column}"]
        names = ", ".join(repr(value) for value in TYPES[name].values)  # type: ignore[union-attr]
        assert str(check.sqltext) == f"{column} IN ({names})"  # type: ignore[attr-defined]
