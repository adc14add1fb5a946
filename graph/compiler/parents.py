"""Concrete parents (objects, not rows) as a table of keys, so that a relation is one statement for all of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    DateTime,
    Select,
    TableClause,
    Text,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

TABLE_NAME = "parents"
# Not a Python identifier, so no attribute has this name.
POSITION = "position#"


class Parents:
    """Objects as a table: each attribute that a resolver reads becomes a column with their values."""

    def __init__(self, parents: Sequence[Any]) -> None:
        self._parents = parents
        self._arrays: dict[str, BindParameter[Any]] = {}
        self.table: TableClause = table(TABLE_NAME)
        self.row = ParentRow(self)
        self._position = self._add(POSITION, range(len(parents)))

    def column(self, name: str) -> ColumnElement[Any]:
        """The column of an attribute; NULL if it is None for all parents."""
        if name in self._arrays:
            return self.table.c[name]
        return self._add(name, [getattr(parent, name) for parent in self._parents])

    def statement(self, value: ColumnElement[Any]) -> Select[int, str]:
        """One row for each parent: its position, and the JSON of the value as text."""
        rows = func.unnest(*self._arrays.values()).table_valued(*self._arrays, name="keys").render_derived()
        return select(self._position, cast(value, Text)).select_from(self.table).add_cte(select(rows).cte(TABLE_NAME))

    def _add(self, name: str, values: Sequence[Any]) -> ColumnElement[Any]:
        type_ = _type_of(values)
        if type_ is None:
            # Not null(): SQLAlchemy turns a comparison with it into IS NULL, which matches rows.
            return literal_column("NULL")
        self._arrays[name] = bindparam(None, list(values), type_=ARRAY(type_), unique=True)
        self.table.append_column(Column(name, type_))
        return self.table.c[name]


class ParentRow:
    """The symbol for a parent."""

    __slots__ = ("_parents",)

    def __init__(self, parents: Parents) -> None:
        self._parents = parents

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        return self._parents.column(name)


def _type_of(values: Sequence[Any]) -> TypeEngine[Any] | None:
    sample = next((value for value in values if value is not None), None)
    if isinstance(sample, int) and not isinstance(sample, bool):
        return BigInteger()
    if isinstance(sample, datetime):
        return DateTime(timezone=True)
    return None if sample is None else literal(sample).type
