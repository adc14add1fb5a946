"""What a resolver returns instead of data.

While an operation is compiled, a resolver's self is not an object but a symbol: a table whose columns are its
attributes. What the resolver returns is then nested into the statement of its parent:

    Select     rows of a table: one where the field is an object, many where it is a list
    Page       a connection over rows in a keyset order (pages.py)
    Variants   rows that are of several types
    Part       an object made of its parent's own columns
    Each       a list over the rows of the enclosing aggregate
    a column or any other SQL expression: a leaf
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Select, inspect

# The parent of a resolver. Where the parent is a real object, its attributes are values; where it is a symbol, columns.
Row: TypeAlias = Any
Rows: TypeAlias = Select[Any]


@dataclass(frozen=True, slots=True)
class Variants:
    """Keys, each of a row that the variant of its type selects: how an interface is resolved.

    select yields the keys; kind is its column that names a GraphQL type; a variant selects one row for a key, or none.
    """

    select: Rows
    kind: ColumnElement[str]
    variants: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class Part:
    """An object whose fields are expressions over what source holds; null where exists is not true."""

    source: Row
    exists: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """A list with one object for each row of the table that the enclosing statement aggregates."""

    source: Row
    table: FromClause
    order_by: ColumnElement[Any]
    where: ColumnElement[bool]


def columns_of(select: Rows) -> Row:
    """The symbol that stands for a row of this select: its columns, by the names of their attributes."""
    entity = select.column_descriptions[0].get("entity")
    return select.selected_columns if entity is None else entity


def named_columns(select: Rows) -> Rows:
    """The same rows, with every column under the name of its attribute: ready to be a subquery that stands for them."""
    entity = select.column_descriptions[0].get("entity")
    if entity is None:
        return select
    keys = [attribute.key for attribute in inspect(entity).mapper.column_attrs]
    return select.with_only_columns(*(getattr(entity, key).label(key) for key in keys), maintain_column_froms=True)
