"""Concrete parents that come one after the other: mutations, items that are awaited, events of a subscription."""

import asyncio
import gc
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


@strawberry.type
class Query:
    @value(list[Loan])
    def one_by_one(self) -> Any:
        """Each item is made once the item before has been answered; nothing else holds on to it."""
        return [_made_later(book_id) for book_id in range(1, 7)]

    @value(list[Loan])
    async def streamed(self) -> AsyncIterator[Any]:
        for book_id in range(1, 7):
            await asyncio.sleep(0)
            yield Slip(f"{book_id}", book_id=book_id)


async def _made_later(book_id: int) -> Slip:
    await asyncio.sleep(0.05 * book_id)
    return Slip(f"{book_id}", book_id=book_id)


@pytest.mark.parametrize("field", ["oneByOne", "streamed"])
async def test_parents_that_come_later_are_not_mistaken_for_those_before(
    client_of: Callable[..., Client], field: str
) -> None:
    # A new object may lie where an old one lay: its address is no identity.
    desk = client_of(query=Query)
    data = await desk.ask(f"{{ found: {field} {{ label book {{ title }} }} }}")
    assert [loan["label"] for loan in data["found"]] == list("123456")
    assert [loan["book"]["title"] for loan in data["found"]] == TITLES


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
