"""Concrete parents that are created one after the other: mutations, awaited items, events of a subscription."""

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
    """Creates each slip after the slip before is freed, and at the same memory address."""

    def __init__(self) -> None:
        self._last: weakref.ref[Slip] | None = None
        self._address = 0

    async def slip(self, book_id: int) -> Slip:
        async with asyncio.timeout(30):
            while self._last is not None and self._last() is not None:
                await asyncio.sleep(0.001)
                gc.collect()
        at_other_addresses = []
        slip = Slip(f"{book_id}", book_id=book_id)
        while id(slip) != self._address and len(at_other_addresses) < 20_000:
            at_other_addresses.append(slip)
            slip = Slip(f"{book_id}", book_id=book_id)
        self._last, self._address = weakref.ref(slip), id(slip)
        return slip


@strawberry.type
class Query:
    @value(list[Loan])
    def one_by_one(self) -> Any:
        desk = Desk()
        lock = asyncio.Lock()

        async def in_sequence(book_id: int) -> Slip:
            async with lock:
                return await desk.slip(book_id)

        return [in_sequence(book_id) for book_id in range(1, 7)]


async def test_a_parent_at_the_address_of_a_freed_one_has_its_own_rows(client_of: Callable[..., Client]) -> None:
    # A new object may have the address of a freed one, so the address does not identify it.
    desk = client_of(query=Query)
    data = await desk.ask("{ oneByOne { label book { title } } }")
    assert [loan["label"] for loan in data["oneByOne"]] == list("123456")
    assert [loan["book"]["title"] for loan in data["oneByOne"]] == TITLES


async def test_several_batches_of_parents_count_once_in_the_limits(
    client_of: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limits apply to the selections of an operation, however many batches its parents form.
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


async def test_the_embedded_objects_of_an_event(feed: Client) -> None:
    answers = [answer async for answer in events(feed, 2, "length { pages isShort }")]
    assert answers == [{"length": {"pages": 1, "isShort": True}}, {"length": {"pages": 2, "isShort": True}}]


async def test_the_connections_of_objects_in_an_event(feed: Client) -> None:
    selection = "renewals { book { title author { bookPage(first: 1) { totalCount } } } }"
    books = [{"title": title, "author": {"bookPage": {"totalCount": 2}}} for title in TITLES[:2]]
    async for answer in events(feed, 3, selection):
        assert answer == {"renewals": [{"book": book} for book in books]}
    assert feed.count == 3


async def test_a_long_subscription_frees_the_loaders_of_past_events(feed: Client) -> None:
    loaders = []
    async for answer in events(feed, 12, "label renewals { book { title } author { name } }"):
        if answer["label"] in ("lent 2", "lent 12"):
            gc.collect()
            loaders.append(sum(isinstance(one, DataLoader) for one in gc.get_objects()))
    assert loaders[0] == loaders[1]
