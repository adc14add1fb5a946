"""Walking a connection page by page while rows come and go: nothing is lost, and nothing comes twice."""

import base64
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle.harness import Bench
from tests.graph.oracle.known import BY_TIME
from tests.graph.oracle.meaning import RECORDS
from tests.graph.oracle.properties import SHRINKING
from tests.graph.oracle.records import Cryptocurrency, Model, Prediction, Record, Strategy
from tests.graph.oracle.reduction import Operation
from tests.graph.oracle.rows import MICROSECOND, MINUTE

MOMENTUM = base64.b64encode(b"Strategy:1").decode()
FIRST_MODEL = 'model(name: "last price", version: "1.0")'
# Where each connection stands: the field that leads to it, if any, its name, and the type of its rows.
WALKS = [
    *((None, name, noun) for name, noun in (("cryptocurrencies", "Cryptocurrency"), ("strategies", "Strategy"))),
    *((None, name, noun) for name, noun in (("models", "Model"), ("predictions", "Prediction"), ("alerts", "Alert"))),
    *((None, name, noun) for name, noun in (("signals", "Signal"), ("trades", "Trade"))),
    ('cryptocurrency(symbol: "BTC")', "predictions", "Prediction"),
    ('cryptocurrency(symbol: "BTC")', "signals", "Signal"),
    ('cryptocurrency(symbol: "BTC")', "trades", "Trade"),
    ('cryptocurrency(symbol: "BTC")', "sentiment", "Sentiment"),
    (FIRST_MODEL, "predictions", "Prediction"),
    (FIRST_MODEL, "signals", "Signal"),
    (f'node(id: "{MOMENTUM}")', "signals", "Signal"),
    (f'node(id: "{MOMENTUM}")', "trades", "Trade"),
]
NEWEST_FIRST = [(parent, name) for parent, name, _ in WALKS if parent and parent.startswith("node")]
NEWEST_FIRST.append((FIRST_MODEL, "signals"))
WITHOUT_ORDER = {"Cryptocurrency", "Strategy", "Model", "Sentiment"}
PAGE = "edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount"
MAX_PAUSES = 4


@dataclass(frozen=True)
class Walk:
    """A way through a connection: where it stands, in which order, from which end, in steps of which sizes."""

    parent: str | None
    name: str
    noun: str
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
def walks(draw: st.DrawFn) -> Walk:
    parent, name, noun = draw(st.sampled_from(WALKS))
    has_order = noun not in WITHOUT_ORDER and (parent, name) not in NEWEST_FIRST
    order = draw(st.sampled_from(["NEWEST_FIRST", "OLDEST_FIRST"])) if has_order else None
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    return Walk(parent, name, noun, order, draw(st.booleans()), sizes)


@settings(SHRINKING, max_examples=25)
@given(walk=walks(), data=st.data())
def test_a_walk_while_rows_come_and_go(bench: Bench, walk: Walk, data: st.DataObject) -> None:
    at_first = _ids(bench.check(walk.whole()))
    guests: list[Record] = []
    try:
        met = _walked(bench, walk, data, guests)
    finally:
        bench.remove(guests)
    assert len(set(met)) == len(met), f"{walk} met a row twice: {met}"
    assert [id_ for id_ in met if id_ in at_first] == at_first, f"{walk} lost rows, or met them in another order"


def _walked(bench: Bench, walk: Walk, data: st.DataObject, guests: list[Record]) -> list[str]:
    """The ids that a walk meets, in the order of the connection. Every page is right at its time."""
    met: list[str] = []
    cursor, number, goes_on = None, 0, True
    while goes_on:
        answer = bench.check(walk.page(number, cursor))
        ids, info = _ids(answer), _page(answer)["pageInfo"]
        met = [*met, *ids] if walk.forward else [*ids, *met]
        cursor = info["endCursor" if walk.forward else "startCursor"]
        goes_on = info["hasNextPage" if walk.forward else "hasPreviousPage"]
        number += 1
        if number <= MAX_PAUSES:
            _let_rows_come_and_go(bench, walk, data, guests)
    return met


def _let_rows_come_and_go(bench: Bench, walk: Walk, data: st.DataObject, guests: list[Record]) -> None:
    if data.draw(st.booleans(), label="one goes") and guests:
        # It may be the one that the cursor stands at.
        bench.remove([guests.pop(data.draw(st.integers(0, len(guests) - 1), label="who goes"))])
    here = [row for row in bench.world.all(RECORDS[walk.noun]) if row not in guests]
    for _ in range(data.draw(st.integers(0, 2), label="how many come")):
        like, near = data.draw(st.sampled_from(here), label="like"), data.draw(st.sampled_from(here), label="near")
        shift = data.draw(st.sampled_from([0, 0, 0, 1, -1]), label="microseconds later")
        guest = _guest(bench, walk.noun, like, near, shift, above=data.draw(st.booleans(), label="with a larger key"))
        bench.add([guest])
        guests.append(guest)


def _guest(bench: Bench, noun: str, like: Any, near: Any, shift: int, *, above: bool) -> Any:
    """A new row like another, with the time and almost the key of a third: most often a tie."""
    key = near.id
    while key <= 0 or bench.world.get(type(like), key) is not None:
        key += 1 if above or key <= 0 else -1
        above = above or key <= 0
    changes: dict[str, Any] = {"id": key}
    if noun in BY_TIME:
        changes[BY_TIME[noun]] = getattr(near, BY_TIME[noun]) + shift * MICROSECOND
    match like:
        case Cryptocurrency():
            changes |= {"symbol": f"X{key}", "coin_gecko_id": None}
        case Model() | Strategy():
            changes["name"] = f"guest {key}"
        case Prediction():
            changes["target_at"] = max(like.target_at, near.predicted_at + MINUTE)
    return replace(like, **changes)


def _page(answer: Any) -> Any:
    return answer["page"] if "page" in answer else answer["parent"]["page"]


def _ids(answer: Any) -> list[str]:
    return [edge["node"]["id"] for edge in _page(answer)["edges"]]
