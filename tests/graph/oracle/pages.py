"""Connections over lists: what a page shows, and what stands before and after it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

DEFAULT_PAGE = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A row's place in an order: what a cursor means. noun is the type of the rows."""

    noun: str
    newest_first: bool
    keys: tuple[Any, ...]


class Cursors:
    """Cursors are opaque, so what they mean is learned from answers, where they stand beside known rows."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.texts: dict[Place, str] = {}

    def learn(self, text: str, place: Place) -> bool:
        """Whether this agrees with everything learned before: one place, one text."""
        return self.places.setdefault(text, place) == place and self.texts.setdefault(place, text) == text


@dataclass(frozen=True, slots=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: Place | None
    end_cursor: Place | None


@dataclass(frozen=True, slots=True)
class Edge:
    cursor: Place
    node: Any


@dataclass(frozen=True, slots=True)
class Connection:
    edges: list[Edge]
    nodes: list[Any]
    page_info: PageInfo
    total_count: int


@dataclass(frozen=True, slots=True)
class Ordering:
    """How the rows of a connection are ordered. key is what comes before the primary key, if anything."""

    noun: str
    key: str | None
    newest_first: bool

    def place_of(self, row: Any) -> Place:
        return Place(self.noun, self.newest_first, tuple(getattr(row, key) for key in (self.key, "id") if key))

    def follows(self, row: Any, place: Place) -> bool:
        keys = self.place_of(row).keys
        return keys < place.keys if self.newest_first else keys > place.keys


def page(
    rows: Iterable[Any],
    ordering: Ordering,
    place_of_cursor: Callable[[str, Ordering], Place],
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Connection:
    """One page of the rows, by the definition: sort everything, cut what is asked for, look at what is left."""
    whole = sorted(rows, key=lambda row: ordering.place_of(row).keys, reverse=ordering.newest_first)
    behind, ahead = [], []
    if after is not None:
        start = place_of_cursor(after, ordering)
        behind = [row for row in whole if not ordering.follows(row, start)]
    if before is not None:
        end = place_of_cursor(before, ordering)
        ahead = [row for row in whole if ordering.follows(row, end) or ordering.place_of(row) == end]
    range_ = [row for row in whole if row not in behind and row not in ahead]
    shown = range_[: first or DEFAULT_PAGE] if last is None else range_[-last:]
    is_cut = len(shown) < len(range_)
    cursors = [ordering.place_of(row) for row in shown]
    info = PageInfo(
        has_next_page=bool(ahead) or (is_cut and last is None),
        has_previous_page=bool(behind) or (is_cut and last is not None),
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )
    edges = [Edge(cursor, row) for cursor, row in zip(cursors, shown, strict=True)]
    return Connection(edges, shown, info, len(whole))
