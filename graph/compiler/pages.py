"""Connections. One scan in keyset order fetches one row more than the page shows; the rest is said about those rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, false, func, literal_column, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from graph.compiler.cursors import cursor_of
from graph.compiler.symbols import Columns, Each, Part, Row, Rows, columns_of

POSITION = "page_position"
# The fields of a connection that ask where its rows stand.
PLACES = {"edges", "pageInfo"}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in a keyset order, cut to a page.

    select: the rows of the whole connection, in no order.   order: the order's name, which its cursors carry.
    keys: the attributes that it orders by; the last is the primary key.   limit: rows to show.
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
    """The symbol behind a connection: its attributes are the connection's fields, and those of its page info.

    is_plain: whether no field asks where its rows stand, which costs as much again as the rows.
    """

    def __init__(self, page: Page, outer: Sequence[Any], *, is_plain: bool = False) -> None:
        self._page = page
        self._outer = outer
        self._is_plain = is_plain
        self._keys = [getattr(columns_of(page.select), key) for key in page.keys]

    @cached_property
    def scan(self) -> Any:
        """The rows of the page and one more, numbered from where the scan begins."""
        position = func.row_number().over(order_by=self._order_by).label(POSITION)
        return self._cut(self._page.limit + 1).add_columns(position).correlate(*self._outer).subquery()

    def _cut(self, limit: Any) -> Rows:
        """So many rows of the range, from where the scan begins."""
        page = self._page
        bounds = [self._beyond(page.after, later=True), self._beyond(page.before, later=False)]
        rows = page.select.where(*(bound for bound in bounds if bound is not None)).order_by(*self._order_by)
        # A number that is known lets PostgreSQL plan for few rows.
        return rows.limit(literal_column(str(limit)) if isinstance(limit, int) else limit)

    @property
    def _order_by(self) -> list[ColumnElement[Any]]:
        page = self._page
        return [key.desc() if page.descending != page.backward else key.asc() for key in self._keys]

    @property
    def statement(self) -> Select[Any]:
        """One row over the scan, or over nothing where no field needed it; its columns are still to be chosen."""
        if "scan" not in self.__dict__:
            return select(true())
        # HAVING makes it one row, even where no column aggregates.
        return select(true()).select_from(self.scan).having(true())

    @property
    def nodes(self) -> Each | Rows:
        if not self._is_plain:
            return self._each(Columns(self.scan.c))
        rows = self._cut(self._page.limit)
        if not self._page.backward:
            return rows
        turned = rows.correlate(*self._outer).subquery()
        keys = [turned.c[key] for key in self._page.keys]
        return select(*turned.c).order_by(*(key.desc() if self._page.descending else key.asc() for key in keys))

    @property
    def edges(self) -> Each:
        return self._each(EdgeRow(self))

    @property
    def page_info(self) -> Part:
        return Part(self)

    @property
    def total_count(self) -> ColumnElement[int]:
        rows = self._page.select.with_only_columns(func.count(type_=Integer), maintain_column_froms=True)
        return rows.correlate(*self._outer).scalar_subquery()

    @property
    def has_next_page(self) -> ColumnElement[bool]:
        page = self._page
        rows_beyond = self._exist_at(page.before, later=True)
        return rows_beyond if page.backward else or_(self._has_more, rows_beyond)

    @property
    def has_previous_page(self) -> ColumnElement[bool]:
        page = self._page
        rows_beyond = self._exist_at(page.after, later=False)
        return or_(self._has_more, rows_beyond) if page.backward else rows_beyond

    @property
    def start_cursor(self) -> ColumnElement[str]:
        return self._first_cursor(self._place)

    @property
    def end_cursor(self) -> ColumnElement[str]:
        return self._first_cursor(self._place.desc())

    @property
    def cursor(self) -> ColumnElement[str]:
        """The cursor of one row of the scan."""
        return cursor_of(self._page.order, [self.scan.c[key] for key in self._page.keys])

    @property
    def _place(self) -> ColumnElement[int]:
        """Orders the rows as the page shows them."""
        position: ColumnElement[int] = self.scan.c[POSITION]
        return -position if self._page.backward else position

    @property
    def _is_shown(self) -> ColumnElement[bool]:
        shown: ColumnElement[bool] = self.scan.c[POSITION] <= self._page.limit
        return shown

    @property
    def _has_more(self) -> ColumnElement[bool]:
        return func.count(self.scan.c[POSITION]) > self._page.limit

    def _each(self, source: Row) -> Each:
        return Each(source, self.scan, order_by=self._place, where=self._is_shown)

    def _first_cursor(self, order_by: ColumnElement[Any]) -> ColumnElement[str]:
        cursors = func.array_agg(aggregate_order_by(self.cursor, order_by), type_=ARRAY(Text))
        return cursors.filter(self._is_shown)[1]

    def _beyond(self, position: Sequence[ColumnElement[Any]] | None, *, later: bool) -> ColumnElement[bool] | None:
        """Rows strictly later (or earlier) than a position, in the order of the connection."""
        if position is None:
            return None
        keys, values = tuple_(*self._keys), tuple_(*position)
        return keys < values if later == self._page.descending else keys > values

    def _exist_at(self, position: Sequence[ColumnElement[Any]] | None, *, later: bool) -> ColumnElement[bool]:
        """Whether the connection has rows at a position, or later (or earlier) than it."""
        if position is None:
            return false()
        keys, values = tuple_(*self._keys), tuple_(*position)
        reached = keys <= values if later == self._page.descending else keys >= values
        rows: Select[Any] = self._page.select.where(reached).correlate(*self._outer)
        return rows.exists()


class EdgeRow:
    """The symbol behind an edge."""

    def __init__(self, rows: PageRows) -> None:
        self._rows = rows

    @property
    def cursor(self) -> ColumnElement[str]:
        return self._rows.cursor

    @property
    def node(self) -> Part:
        return Part(Columns(self._rows.scan.c))
