"""What a resolver returns instead of data.

While an operation is compiled, a resolver's self is not an object but a symbol: a table whose columns are its
attributes. What the resolver returns is then nested into the statement of its parent:

    Select     rows of a table: one where the field is an object, many where it is a list
    Page       a connection over rows in a keyset order (pages.py)
    Variants   rows that are of several types
    Either     rows of one of several tables, which the parent decides
    Part       an object made of its parent's own columns
    Each       a list over the rows of the enclosing aggregate
    a column or any other SQL expression: a leaf

A Select's columns are replaced by those that an operation asks for. So it has no DISTINCT or GROUP BY of its own: rows
of that kind are wrapped in a subquery first, and selected from there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Select
from sqlalchemy.sql.base import ColumnCollection

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
class Either:
    """The rows of the first case whose condition holds for the parent, or otherwise; the others are not looked for.

    A UNION ALL would do as well, and cost a fifth more, since each row passes through it.
    """

    cases: Sequence[tuple[ColumnElement[bool], Rows]]
    otherwise: Rows


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


class Columns:
    """A row as a symbol: its attributes are the columns of a select or a subquery."""

    __slots__ = ("_columns",)

    def __init__(self, columns: ColumnCollection[str, ColumnElement[Any]]) -> None:
        self._columns = columns

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        try:
            return self._columns[name]
        except KeyError:
            raise AttributeError(name) from None


def columns_of(select: Rows) -> Columns:
    """The symbol that stands for a row of this select."""
    return Columns(select.selected_columns)
