"""Symbols: the values that a resolver returns instead of data.

While an operation is compiled, a resolver's self is not an object but a symbol: a table whose columns are its
attributes. The value that the resolver returns is nested into the statement of its parent:

    Select            rows of a table: one if the field is an object, many if it is a list
    Page              a connection over rows in a keyset order (pages.py)
    Variants          rows of several types
    ConditionalRows   rows of one of several tables, depending on the parent
    EmbeddedObject    an object made of its parent's own columns
    AggregatedRows    a list of the rows that the enclosing statement aggregates
    a column or any other SQL expression: a leaf

A Select's columns are replaced by those that the operation selects. So it has no DISTINCT or GROUP BY of its own: such
rows are wrapped in a subquery, and selected from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Select
from sqlalchemy.sql.base import ColumnCollection

# The parent of a resolver. The attributes of a real object are values, those of a symbol are columns.
Row: TypeAlias = Any
Rows: TypeAlias = Select[Any]


@dataclass(frozen=True, slots=True)
class Variants:
    """Rows of several types by their keys: how an interface or a union is resolved.

    select: the keys.   kind: its column that names a GraphQL type.   variants: for each type, a Select of the row of a
    key, or of no row.
    """

    select: Rows
    kind: ColumnElement[str]
    variants: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class ConditionalRows:
    """The rows of the first case whose condition is true for the parent, else of otherwise; PostgreSQL reads no others.

    A UNION ALL gives the same rows and costs a fifth more, since each row passes through it.
    """

    cases: Sequence[tuple[ColumnElement[bool], Rows]]
    otherwise: Rows


@dataclass(frozen=True, slots=True)
class EmbeddedObject:
    """An object whose fields are expressions over the attributes of source; null unless exists is true."""

    source: Row
    exists: ColumnElement[bool] | None = None


@dataclass(frozen=True, slots=True)
class AggregatedRows:
    """A list with an object for each row of the table that the enclosing statement aggregates."""

    source: Row
    table: FromClause
    order_by: ColumnElement[Any]
    where: ColumnElement[bool]


class Columns:
    """A symbol for a row: its attributes are the columns of a select or a subquery."""

    __slots__ = ("_columns",)

    def __init__(self, columns: ColumnCollection[str, ColumnElement[Any]]) -> None:
        self._columns = columns

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        try:
            return self._columns[name]
        except KeyError:
            raise AttributeError(name) from None


def columns_of(select: Rows) -> Columns:
    """The symbol for a row of this select."""
    return Columns(select.selected_columns)
