"""Reads a connection page by page while rows are inserted and deleted: no row is missing, and none comes twice."""

import base64
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.context import BY_TIME
from tests.graph.oracle.harness import Harness
from tests.graph.oracle.properties import SHRINKING
from tests.graph.oracle.records import Cryptocurrency, Model, Prediction, Record, Strategy
from tests.graph.oracle.resolvers import RECORDS
from tests.graph.oracle.rows import MICROSECOND, MINUTE
from tests.graph.oracle.shrinking import Operation

MOMENTUM = base64.b64encode(b"Strategy:1").decode()
FIRST_MODEL = 'model(name: "last price", version: "1.0")'
# Each connection: the parent field, if any, its name, and the type of its rows.
CONNECTIONS = [
    *(
        (None, name, type_name)
        for name, type_name in (("cryptocurrencies", "Cryptocurrency"), ("strategies", "Strategy"))
    ),
    *(
        (None, name, type_name)
        for name, type_name in (("models", "Model"), ("predictions", "Prediction"), ("alerts", "Alert"))
    ),
    *((None, name, type_name) for name, type_name in (("signals", "Signal"), ("trades", "Trade"))),
    ('cryptocurrency(symbol: "BTC")', "predictions", "Prediction"),
    ('cryptocurrency(symbol: "BTC")', "signals", "Signal"),
    ('cryptocurrency(symbol: "BTC")', "trades", "Trade"),
    ('cryptocurrency(symbol: "BTC")', "sentiment", "Sentiment"),
    (FIRST_MODEL, "predictions", "Prediction"),
    (FIRST_MODEL, "signals", "Signal"),
    (f'node(id: "{MOMENTUM}")', "signals", "Signal"),
    (f'node(id: "{MOMENTUM}")', "trades", "Trade"),
]
NEWEST_FIRST = [(parent, name) for parent, name, _ in CONNECTIONS if parent and parent.startswith("node")]
NEWEST_FIRST.append((FIRST_MODEL, "signals"))
WITHOUT_ORDER = {"Cryptocurrency", "Strategy", "Model", "Sentiment"}
PAGE = "edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount"
MAX_CHANGES = 4


@dataclass(frozen=True)
class Traversal:
    """One traversal of a connection: its order, its direction, and the sizes of its pages."""

    parent: str | None
    name: str
    type_name: str
    order: str | None
    forward: bool
    sizes: list[int]

    def page(self, number: int, cursor: str | None) -> Operation:
        return self._page(self.sizes[number % len(self.sizes)], cursor)

    def whole(self) -> Operation:
        return self._page(100, None)

    def _page(self, size: int, cursor: str | None) -> Operation:
        size_name, cursor_name = ("first", "after") if self.forward else ("last", "before")
        order = f", orderBy: {self.order}" if self.order else ""
        page = f"page: {self.name}({size_name}: $size, {cursor_name}: $cursor{order}) {{ {PAGE} }}"
        if self.parent and self.parent.startswith("node"):
            page = f"... on Strategy {{ {page} }}"
        text = f"parent: {self.parent} {{ {page} }}" if self.parent else page
        return Operation(f"query($size: Int, $cursor: String) {{ {text} }}", {"size": size, "cursor": cursor})


@st.composite
def traversals(draw: st.DrawFn) -> Traversal:
    parent, name, type_name = draw(st.sampled_from(CONNECTIONS))
    has_order = type_name not in WITHOUT_ORDER and (parent, name) not in NEWEST_FIRST
    order = draw(st.sampled_from(["NEWEST_FIRST", "OLDEST_FIRST"])) if has_order else None
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    return Traversal(parent, name, type_name, order, draw(st.booleans()), sizes)


@settings(SHRINKING, max_examples=25)
@given(traversal=traversals(), data=st.data())
def test_pages_while_rows_are_inserted_and_deleted(harness: Harness, traversal: Traversal, data: st.DataObject) -> None:
    initial = _ids(harness.check(traversal.whole()))
    inserted: list[Record] = []
    try:
        seen = _traversed(harness, traversal, data, inserted)
    finally:
        harness.remove(inserted)
    assert len(set(seen)) == len(seen), f"{traversal} has a row twice: {seen}"
    assert [id_ for id_ in seen if id_ in initial] == initial, f"{traversal} misses rows, or has them in another order"


def _traversed(harness: Harness, traversal: Traversal, data: st.DataObject, inserted: list[Record]) -> list[str]:
    """The ids of all pages, in the order of the connection. Each page is compared with the oracle."""
    seen: list[str] = []
    cursor, number, has_more = None, 0, True
    while has_more:
        answer = harness.check(traversal.page(number, cursor))
        ids, info = _ids(answer), _page(answer)["pageInfo"]
        seen = [*seen, *ids] if traversal.forward else [*ids, *seen]
        cursor = info["endCursor" if traversal.forward else "startCursor"]
        has_more = info["hasNextPage" if traversal.forward else "hasPreviousPage"]
        number += 1
        if number <= MAX_CHANGES:
            _insert_and_delete_rows(harness, traversal, data, inserted)
    return seen


def _insert_and_delete_rows(
    harness: Harness, traversal: Traversal, data: st.DataObject, inserted: list[Record]
) -> None:
    if data.draw(st.booleans(), label="delete a row") and inserted:
        # It may be the row of the cursor.
        harness.remove([inserted.pop(data.draw(st.integers(0, len(inserted) - 1), label="which row"))])
    existing = [row for row in harness.world.all(RECORDS[traversal.type_name]) if row not in inserted]
    for _ in range(data.draw(st.integers(0, 2), label="how many new rows")):
        like, near = (
            data.draw(st.sampled_from(existing), label="like"),
            data.draw(st.sampled_from(existing), label="near"),
        )
        shift = data.draw(st.sampled_from([0, 0, 0, 1, -1]), label="microseconds later")
        row = _new_row(
            harness, traversal.type_name, like, near, shift, above=data.draw(st.booleans(), label="with a larger key")
        )
        harness.add([row])
        inserted.append(row)


def _new_row(harness: Harness, type_name: str, like: Any, near: Any, shift: int, *, above: bool) -> Any:
    """A new row like another one, with the time and nearly the key of a third one: most often a tie."""
    key = near.id
    while key <= 0 or harness.world.get(type(like), key) is not None:
        key += 1 if above or key <= 0 else -1
        above = above or key <= 0
    changes: dict[str, Any] = {"id": key}
    if type_name in BY_TIME:
        changes[BY_TIME[type_name]] = getattr(near, BY_TIME[type_name]) + shift * MICROSECOND
    match like:
        case Cryptocurrency():
            changes |= {"symbol": f"X{key}", "coin_gecko_id": None}
        case Model() | Strategy():
            changes["name"] = f"new {key}"
        case Prediction():
            changes["target_at"] = max(like.target_at, near.predicted_at + MINUTE)
    return replace(like, **changes)


def _page(answer: Any) -> Any:
    return answer["page"] if "page" in answer else answer["parent"]["page"]


def _ids(answer: Any) -> list[str]:
    return [edge["node"]["id"] for edge in _page(answer)["edges"]]
