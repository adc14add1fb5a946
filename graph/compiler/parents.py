"""Concrete parents as a table, so that a relation is one statement for all of them."""

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
    select,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

NAME = "parents"


class Parents:
    """A symbol for several objects: each attribute that a resolver reads becomes a column of their values."""

    def __init__(self, parents: Sequence[Any]) -> None:
        self._parents = parents
        self._arrays: dict[str, BindParameter[Any]] = {}
        self.table: TableClause = table(NAME)
        self.position: ColumnElement[int] = self._column("position", range(len(parents)))

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._arrays:
            return self._column(name, [getattr(parent, name) for parent in self._parents])
        return self.table.c[name]

    def _column(self, name: str, values: Sequence[Any]) -> ColumnElement[Any]:
        type_ = _type_of(values)
        self._arrays[name] = bindparam(None, list(values), type_=ARRAY(type_), unique=True)
        self.table.append_column(Column(name, type_))
        return self.table.c[name]

    def statement(self, value: ColumnElement[Any]) -> Select[int, str]:
        """One row a parent: its position, and the JSON of the value as text."""
        rows = func.unnest(*self._arrays.values()).table_valued(*self._arrays, name="keys").render_derived()
        return select(self.position, cast(value, Text)).select_from(self.table).add_cte(select(rows).cte(NAME))


def _type_of(values: Sequence[Any]) -> TypeEngine[Any]:
    known = next((value for value in values if value is not None), None)
    if isinstance(known, int) and not isinstance(known, bool):
        return BigInteger()
    if isinstance(known, datetime):
        return DateTime(timezone=True)
    return literal(known).type if known is not None else Text()
