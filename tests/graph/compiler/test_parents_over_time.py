"""Concrete parents that come one after the other: mutations, items that are awaited, events of a subscription."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import strawberry
from aiodataloader import DataLoader

from tests.graph.compiler import loans
from tests.graph.compiler.conftest import Client, parsed
from tests.graph.compiler.library import value
from tests.graph.compiler.loans import Loan, Slip

TITLES = ["Lathe", "Dispossessed", "Baron", "Cities", "Castle", "Beowulf"]


async def test_each_mutation_loads_for_its_own_payload(client_of: Callable[..., Client]) -> None:
    desk = client_of(query=loans.Query, mutation=loans.Mutation)
    fields = " ".join(f"m{key}: lend(bookId: {key}) {{ ...F }}" for key in range(1, 7))
    data = await desk.ask(f"mutation {{ {fields} }} fragment F on Loan {{ book {{ title }} length {{ pages }} }}")
    assert [payload["book"]["title"] for payload in data.values()] == TITLES
    assert desk.count == 12


class Desk:
    """Makes each slip once the slip before is gone, and in the place in memory where that one lay."""

    def __init__(self) -> None:
        self._last: weakref.ref[Slip] | None = None
        self._place = 0

    async def slip(self, book_id: int) -> Slip:
        for _ in range(10):
            if self._last is None or self._last() is None:
                break
            await asyncio.sleep(0.01)
            gc.collect()
        elsewhere = []
        slip = Slip(f"{book_id}", book_id=book_id)
        while id(slip) != self._place and len(elsewhere) < 20_000:
            elsewhere.append(slip)
            slip = Slip(f"{book_id}", book_id=book_id)
        self._last, self._place = weakref.ref(slip), id(slip)
        return slip


@strawberry.type
class Query:
    @value(list[Loan])
    def one_by_one(self) -> Any:
        desk = Desk()
        turn = asyncio.Lock()

        async def in_turn(book_id: int) -> Slip:
            async with turn:
                return await desk.slip(book_id)

        return [in_turn(book_id) for book_id in range(1, 7)]


async def test_parents_that_come_later_are_not_mistaken_for_those_before(client_of: Callable[..., Client]) -> None:
    # A new object may lie where an old one lay: its address is no identity.
    desk = client_of(query=Query)
    data = await desk.ask("{ oneByOne { label book { title } } }")
    assert [loan["label"] for loan in data["oneByOne"]] == list("123456")
    assert [loan["book"]["title"] for loan in data["oneByOne"]] == TITLES


async def test_parents_that_come_later_do_not_use_up_the_limits(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Limits are for what an operation selects, not for how many batches its parents come in.
    monkeypatch.setattr("graph.compiler.statement.MAX_SELECTS", 3)
    desk = client_of(query=Query)
    data = await desk.ask("{ oneByOne { book { title } } }")
    assert [loan["book"]["title"] for loan in data["oneByOne"]] == TITLES
    assert desk.count == 6


async def events(client: Client, count: int, selection: str) -> AsyncIterator[Any]:
    client.events = count
    source = await client.schema.subscribe(f"subscription {{ loans {{ {selection} }} }}", context_value=client)
    assert isinstance(source, AsyncIterator)
    async for result in source:
        assert not result.errors, result.errors
        yield parsed(result.data)["loans"]


@pytest.fixture
def feed(client_of: Callable[..., Client]) -> Client:
    return client_of(query=loans.Query, subscription=loans.Subscription)


async def test_each_event_of_a_subscription_has_its_own_rows(feed: Client) -> None:
    answers = [answer async for answer in events(feed, 6, "label book { title }")]
    assert [answer["label"] for answer in answers] == [f"lent {key}" for key in range(1, 7)]
    assert [answer["book"]["title"] for answer in answers] == TITLES
    assert feed.count == 6


async def test_the_parts_of_an_event(feed: Client) -> None:
    answers = [answer async for answer in events(feed, 2, "length { pages isShort }")]
    assert answers == [{"length": {"pages": 1, "isShort": True}}, {"length": {"pages": 2, "isShort": True}}]


async def test_the_connections_of_objects_in_an_event(feed: Client) -> None:
    selection = "renewals { book { title author { bookPage(first: 1) { totalCount } } } }"
    books = [{"title": title, "author": {"bookPage": {"totalCount": 2}}} for title in TITLES[:2]]
    async for answer in events(feed, 3, selection):
        assert answer == {"renewals": [{"book": book} for book in books]}
    assert feed.count == 3


async def test_a_long_subscription_keeps_nothing_of_its_past_events(feed: Client) -> None:
    loaders = []
    async for answer in events(feed, 12, "label renewals { book { title } author { name } }"):
        if answer["label"] in ("lent 2", "lent 12"):
            gc.collect()
            loaders.append(sum(isinstance(thing, DataLoader) for thing in gc.get_objects()))
    assert loaders[0] == loaders[1]
