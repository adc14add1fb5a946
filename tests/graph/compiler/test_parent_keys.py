"""Keys of concrete parents: of several types, and null."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from tests.graph.compiler import loans
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.loans import Slip
from tests.graph.compiler.tables import at


@pytest.fixture
def desk(client_of: Callable[..., Client]) -> Client:
    return client_of(query=loans.Query)


async def test_a_parent_whose_key_is_null_has_no_row(desk: Client) -> None:
    desk.parents = [Slip("a"), Slip("b", book_id=1), Slip("c")]
    data = await desk.ask("{ loans { book { title } similar { title } } }")
    assert data["loans"] == [
        {"book": None, "similar": []},
        {"book": {"title": "Lathe"}, "similar": []},
        {"book": None, "similar": []},
    ]


async def test_parents_whose_keys_are_all_null(desk: Client) -> None:
    # Such a key has no type: it must compare with a number, a text and a time.
    desk.parents = [Slip("a"), Slip("b")]
    data = await desk.ask("{ loans { book { title } inLanguage: similar { title } since { title } } }")
    assert data["loans"] == [{"book": None, "inLanguage": [], "since": []}] * 2


async def test_null_keys_are_not_equal_to_null_columns(desk: Client) -> None:
    # Beowulf has no author; a loan without an author must not match it.
    desk.parents = [Slip("a")]
    data = await desk.ask("{ loans { byAuthor { totalCount nodes { title } } } }")
    assert data["loans"] == [{"byAuthor": {"totalCount": 0, "nodes": []}}]


async def test_keys_that_are_texts(desk: Client) -> None:
    desk.parents = [Slip("a", language="en"), Slip("b", language="it'}\",\\{"), Slip("c", language="ang"), Slip("d")]
    data = await desk.ask("{ loans { inLanguage(longerThan: 50) { title } } }")
    assert data["loans"] == [
        {"inLanguage": [{"title": "Lathe"}, {"title": "Dispossessed"}]},
        {"inLanguage": []},
        {"inLanguage": [{"title": "Beowulf"}]},
        {"inLanguage": []},
    ]
    assert desk.count == 1


async def test_keys_that_are_times(desk: Client) -> None:
    a_moment = timedelta(microseconds=1)
    west = timezone(timedelta(hours=-3))
    desk.parents = [
        Slip("a", since=at(1974)),
        Slip("b", since=at(1974) + a_moment),
        Slip("c"),
        Slip("d", since=datetime(1973, 12, 31, 21, tzinfo=west)),
        Slip("e", since=datetime(1973, 12, 31, 21, tzinfo=west) + a_moment),
    ]
    data = await desk.ask("{ loans { since { title } } }")
    both = [{"title": "Dispossessed"}, {"title": "Castle"}]
    assert [loan["since"] for loan in data["loans"]] == [both, [], [], both, []]
    assert desk.count == 1


@pytest.mark.parametrize("key", [0, -1, 2**31, 2**63 - 1, -(2**63)])
async def test_keys_that_are_large_numbers(desk: Client, key: int) -> None:
    desk.parents = [Slip("a", book_id=2), Slip("b", book_id=key)]
    data = await desk.ask("{ loans { book { title } } }")
    assert data["loans"] == [{"book": {"title": "Dispossessed"}}, {"book": None}]


async def test_several_attributes_of_one_parent_stay_together(desk: Client) -> None:
    desk.parents = [Slip("a", 3, language="it"), Slip("b", 1, language="en"), Slip("c", 3, language="en")]
    data = await desk.ask("{ loans { similar { title } } }")
    assert [[book["title"] for book in loan["similar"]] for loan in data["loans"]] == [
        ["Cities", "Castle"],
        ["Dispossessed"],
        ["Lathe", "Dispossessed"],
    ]


@pytest.mark.parametrize("field", ["atPosition", "atTable"])
async def test_attributes_may_have_any_name(desk: Client, field: str) -> None:
    desk.parents = [Slip("a", position=3, table=3), Slip("b", position=2, table=2)]
    data = await desk.ask(f"{{ loans {{ found: {field} {{ title }} }} }}")
    assert data["loans"] == [{"found": {"title": "Baron"}}, {"found": {"title": "Dispossessed"}}]
