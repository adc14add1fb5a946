"""Rows in a keyset order, and the criteria that narrow them."""

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
    """Rows and their order. keys are attributes; the last is the primary key, so that no two rows have one place."""

    rows: Select[Any]
    order: str
    keys: tuple[str, ...]
    descending: bool = False


class Span(NamedTuple):
    """A half-open range of time; a bound that is None is open."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = Span()
Criterion = ColumnElement[bool] | None


def by_time(rows: Select[Any], noun: str, *, newest_first: bool, key: str = "timestamp") -> Listing:
    """The rows in the order of a time."""
    return Listing(rows, f"{noun}.{'newest' if newest_first else 'oldest'}", (key, "id"), newest_first)


def narrowed(rows: Select[Any], criteria: Iterable[Criterion]) -> Select[Any]:
    """The rows that meet every criterion that was given."""
    return rows.where(*met(criteria))


def met(criteria: Iterable[Criterion]) -> list[ColumnElement[bool]]:
    """The criteria that were given."""
    return [criterion for criterion in criteria if criterion is not None]


def equal(column: Any, value: Any) -> Criterion:
    return None if value is None else column == value


def among(column: Any, values: Any) -> Criterion:
    return None if values is None else column == any_(array_of(values, Text()))


def array_of(values: Any, type_: TypeEngine[Any]) -> ColumnElement[Any]:
    """One parameter, however many values; or the array that it is already."""
    return bindparam(None, values, ARRAY(type_), unique=True) if isinstance(values, list) else values


def at_least(column: Any, value: Any) -> Criterion:
    return None if value is None else column >= value


def before(column: Any, value: Any) -> Criterion:
    return None if value is None else column < value


def within(column: Any, span: Span) -> tuple[Criterion, Criterion]:
    return at_least(column, span.since), before(column, span.until)


def of_symbol(cryptocurrency_id: Any, symbol: Any) -> Criterion:
    """The rows of one coin; an unknown symbol has none."""
    if symbol is None:
        return None
    coin = Cryptocurrency.rows()
    found: ColumnElement[bool] = cryptocurrency_id == (
        select(coin.c.id).where(coin.c.symbol == func.upper(symbol)).scalar_subquery()
    )
    return found
