"""Connections over lists: the rows of a page, and whether rows precede and follow it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

DEFAULT_PAGE = 50


@dataclass(frozen=True, slots=True)
class Position:
    """A row's position in an order, which a cursor encodes. type_name: of the rows."""

    type_name: str
    newest_first: bool
    keys: tuple[Any, ...]


class Cursors:
    """The positions of cursors. Cursors are opaque, so they are recorded from answers that have them with rows."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self.texts: dict[Position, str] = {}

    def record(self, text: str, position: Position) -> bool:
        """Record a cursor. False if it contradicts an earlier one: a position has one text, and a text one position."""
        return self.positions.setdefault(text, position) == position and self.texts.setdefault(position, text) == text


@dataclass(frozen=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: Position | None
    end_cursor: Position | None


@dataclass(frozen=True, slots=True)
class Edge:
    cursor: Position
    node: Any


@dataclass(frozen=True, slots=True)
class Connection:
    edges: list[Edge]
    nodes: list[Any]
    page_info: PageInfo
    total_count: int


@dataclass(frozen=True, slots=True)
class Ordering:
    """The order of a connection. key: the attribute before the primary key, if any."""

    type_name: str
    key: str | None
    newest_first: bool

    def position_of(self, row: Any) -> Position:
        return Position(self.type_name, self.newest_first, tuple(getattr(row, key) for key in (self.key, "id") if key))

    def follows(self, row: Any, position: Position) -> bool:
        keys = self.position_of(row).keys
        return keys < position.keys if self.newest_first else keys > position.keys


def page(
    rows: Iterable[Any],
    ordering: Ordering,
    position_of_cursor: Callable[[str, Ordering], Position],
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Connection:
    """One page of the rows by definition: sort all rows, cut the range, take the first or last ones."""
    ordered = sorted(rows, key=lambda row: ordering.position_of(row).keys, reverse=ordering.newest_first)
    preceding, following = [], []
    if after is not None:
        start = position_of_cursor(after, ordering)
        preceding = [row for row in ordered if not ordering.follows(row, start)]
    if before is not None:
        end = position_of_cursor(before, ordering)
        following = [row for row in ordered if ordering.follows(row, end) or ordering.position_of(row) == end]
    range_ = [row for row in ordered if row not in preceding and row not in following]
    shown = range_[: first or DEFAULT_PAGE] if last is None else range_[-last:]
    is_cut = len(shown) < len(range_)
    cursors = [ordering.position_of(row) for row in shown]
    info = PageInfo(
        has_next_page=bool(following) or (is_cut and last is None),
        has_previous_page=bool(preceding) or (is_cut and last is not None),
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    edges = [Edge(cursor, row) for cursor, row in zip(cursors, shown, strict=True)]
    return Connection(edges, shown, info, len(ordered))
