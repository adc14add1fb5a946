"""Connections: one scan in keyset order reads one row more than the page; the other fields are derived from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, false, func, literal_column, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from graph.compiler.cursors import cursor_of
from graph.compiler.symbols import AggregatedRows, Columns, EmbeddedObject, Row, Rows, columns_of

POSITION = "page_position"
# The fields of a connection that need the positions of its rows.
POSITION_FIELDS = {"edges", "pageInfo"}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows in a keyset order.

    select: all rows of the connection, without an order.   order: the order's name, which is part of its cursors.
    keys: the attributes that it orders by; the last is the primary key.   limit: the most rows of the page.
    backward: the page is the last rows of the range, not the first.   after, before: the range, exclusive.
    """

    select: Rows
    order: str
    keys: Sequence[str]
    descending: bool
    limit: int
    backward: bool = False
    after: Sequence[ColumnElement[Any]] | None = None
    before: Sequence[ColumnElement[Any]] | None = None


class PageRows:
    """The symbol for a connection: its attributes are the fields of the connection and of its page info.

    rows_only: whether no selected field needs the positions of rows. Those cost as much again as the rows.
    """

    def __init__(self, page: Page, outer: Sequence[Any], *, rows_only: bool = False) -> None:
        self._page = page
        self._outer = outer
        self._rows_only = rows_only
        self._keys = [getattr(columns_of(page.select), key) for key in page.keys]

    @cached_property
    def scan(self) -> Any:
        """The rows of the page and one more, numbered from the start of the scan."""
        position = func.row_number().over(order_by=self._order_by).label(POSITION)
        return self._first_rows(self._page.limit + 1).add_columns(position).correlate(*self._outer).subquery()

    def _first_rows(self, limit: Any) -> Rows:
        """This many rows of the range, from the start of the scan."""
        page = self._page
        bounds = [self._bound(page.after, later=True), self._bound(page.before, later=False)]
        rows = page.select.where(*(bound for bound in bounds if bound is not None)).order_by(*self._order_by)
        # A constant, unlike a parameter, lets PostgreSQL plan for few rows.
        return rows.limit(literal_column(str(limit)) if isinstance(limit, int) else limit)

    @property
    def _order_by(self) -> list[ColumnElement[Any]]:
        page = self._page
        return [key.desc() if page.descending != page.backward else key.asc() for key in self._keys]

    @property
    def statement(self) -> Select[Any]:
        """One row that aggregates the scan, or without FROM if no field uses the scan; json.py replaces its columns."""
        if "scan" not in self.__dict__:
            return select(true())
        # HAVING makes it one row, even if no column aggregates.
        return select(true()).select_from(self.scan).having(true())

    @property
    def nodes(self) -> AggregatedRows | Rows:
        if not self._rows_only:
            return self._aggregated(Columns(self.scan.c))
        rows = self._first_rows(self._page.limit)
        if not self._page.backward:
            return rows
        reversed_rows = rows.correlate(*self._outer).subquery()
        keys = [reversed_rows.c[key] for key in self._page.keys]
        return select(*reversed_rows.c).order_by(*(key.desc() if self._page.descending else key.asc() for key in keys))

    @property
    def edges(self) -> AggregatedRows:
        return self._aggregated(EdgeRow(self))

    @property
    def page_info(self) -> EmbeddedObject:
        return EmbeddedObject(self)

    @property
    def total_count(self) -> ColumnElement[int]:
        rows = self._page.select.with_only_columns(func.count(type_=Integer), maintain_column_froms=True)
        return rows.correlate(*self._outer).scalar_subquery()

    @property
    def has_next_page(self) -> ColumnElement[bool]:
        page = self._page
        rows_beyond = self._has_rows_from(page.before, later=True)
        return rows_beyond if page.backward else or_(self._has_extra_row, rows_beyond)

    @property
    def has_previous_page(self) -> ColumnElement[bool]:
        page = self._page
        rows_beyond = self._has_rows_from(page.after, later=False)
        return or_(self._has_extra_row, rows_beyond) if page.backward else rows_beyond

    @property
    def start_cursor(self) -> ColumnElement[str]:
        return self._first_cursor(self._display_order)

    @property
    def end_cursor(self) -> ColumnElement[str]:
        return self._first_cursor(self._display_order.desc())

    @property
    def cursor(self) -> ColumnElement[str]:
        """The cursor of one row of the scan."""
        return cursor_of(self._page.order, [self.scan.c[key] for key in self._page.keys])

    @property
    def _display_order(self) -> ColumnElement[int]:
        """Sort key of the rows as the page shows them."""
        position: ColumnElement[int] = self.scan.c[POSITION]
        return -position if self._page.backward else position

    @property
    def _is_in_page(self) -> ColumnElement[bool]:
        is_in_page: ColumnElement[bool] = self.scan.c[POSITION] <= self._page.limit
        return is_in_page

    @property
    def _has_extra_row(self) -> ColumnElement[bool]:
        return func.count(self.scan.c[POSITION]) > self._page.limit

    def _aggregated(self, source: Row) -> AggregatedRows:
        return AggregatedRows(source, self.scan, order_by=self._display_order, where=self._is_in_page)

    def _first_cursor(self, order_by: ColumnElement[Any]) -> ColumnElement[str]:
        cursors = func.array_agg(aggregate_order_by(self.cursor, order_by), type_=ARRAY(Text))
        return cursors.filter(self._is_in_page)[1]

    def _bound(self, position: Sequence[ColumnElement[Any]] | None, *, later: bool) -> ColumnElement[bool] | None:
        """Criterion: rows strictly later (or earlier) than a position, in the order of the connection."""
        if position is None:
            return None
        keys, values = tuple_(*self._keys), tuple_(*position)
        return keys < values if later == self._page.descending else keys > values

    def _has_rows_from(self, position: Sequence[ColumnElement[Any]] | None, *, later: bool) -> ColumnElement[bool]:
        """Whether the connection has rows at a position or later (or earlier) than it."""
        if position is None:
            return false()
        keys, values = tuple_(*self._keys), tuple_(*position)
        from_position = keys <= values if later == self._page.descending else keys >= values
        rows: Select[Any] = self._page.select.where(from_position).correlate(*self._outer)
        return rows.exists()


class EdgeRow:
    """The symbol for an edge."""

    def __init__(self, rows: PageRows) -> None:
        self._rows = rows

    @property
    def cursor(self) -> ColumnElement[str]:
        return self._rows.cursor

    @property
    def node(self) -> EmbeddedObject:
        return EmbeddedObject(Columns(self._rows.scan.c))
