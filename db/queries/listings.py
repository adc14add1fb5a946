"""Listings: rows with a keyset order, and optional filter criteria."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Text, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from db.models import Cryptocurrency


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows and their order. order: its name in cursors. keys: the sort columns, with the primary key as the last."""

    rows: Select[Any]
    order: str
    keys: tuple[str, ...]
    descending: bool = False


class Span(NamedTuple):
    """A time range that includes since and excludes until; None leaves a side open."""

    since: datetime | None = None
    until: datetime | None = None


ANY_TIME = Span()
Criterion = ColumnElement[bool] | None


def ordered_by_time(rows: Select[Any], noun: str, *, newest_first: bool, key: str = "timestamp") -> Listing:
    """The rows ordered by a time column."""
    return Listing(rows, f"{noun}.{'newest' if newest_first else 'oldest'}", (key, "id"), newest_first)


def filtered(rows: Select[Any], criteria: Iterable[Criterion]) -> Select[Any]:
    """The rows that match every criterion that is not None."""
    return rows.where(*present_criteria(criteria))


def present_criteria(criteria: Iterable[Criterion]) -> list[ColumnElement[bool]]:
    """The criteria that are not None."""
    return [criterion for criterion in criteria if criterion is not None]


def equal_to(column: Any, value: Any) -> Criterion:
    """column = value; None if value is None, like all criteria below."""
    return None if value is None else column == value


def one_of(column: Any, values: Any) -> Criterion:
    return None if values is None else column == any_(array_of(values, Text()))


def array_of(values: Any, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """A list of values as one array parameter. An expression is returned as it is."""
    return bindparam(None, values, ARRAY(type_), unique=True) if isinstance(values, list) else values


def greater_or_equal(column: Any, value: Any) -> Criterion:
    return None if value is None else column >= value


def less_than(column: Any, value: Any) -> Criterion:
    return None if value is None else column < value


def in_span(column: Any, span: Span) -> tuple[Criterion, Criterion]:
    return greater_or_equal(column, span.since), less_than(column, span.until)


def of_symbol(cryptocurrency_id: Any, symbol: Any) -> Criterion:
    """The rows of the coin with this symbol, case-insensitive; none if the symbol is unknown."""
    if symbol is None:
        return None
    coin = Cryptocurrency.rows()
    found: ColumnElement[bool] = cryptocurrency_id == (
        select(coin.c.id).where(coin.c.symbol == func.upper(symbol)).scalar_subquery()
    )
    return found
