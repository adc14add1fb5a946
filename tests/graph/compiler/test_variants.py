"""Variants: interfaces, unions, and ids without a row."""

from graph.compiler.global_ids import global_id
from tests.graph.compiler.conftest import Client

MIXED = """query ($kinds: [String!]!, $keys: [Int!]!) { works(kinds: $kinds, keys: $keys) {
  __typename id
  ... on Author { name books { title } }
  ... on Book { title author { name } }
  ... on Review { stars book { title } }
} }"""


async def test_a_list_of_several_types_keeps_its_order_and_its_nulls(library: Client) -> None:
    kinds = ["Review", "Author", "Book", "Author", "Book", "Ghost"]
    data = await library.ask(MIXED, kinds=kinds, keys=[3, 3, 6, 77, 3, 1])
    assert data["works"] == [
        {"__typename": "Review", "id": global_id("Review", 3), "stars": 5, "book": {"title": "Cities"}},
        {"__typename": "Author", "id": global_id("Author", 3), "name": "Marvin", "books": []},
        {"__typename": "Book", "id": global_id("Book", 6), "title": "Beowulf", "author": None},
        None,
        {"__typename": "Book", "id": global_id("Book", 3), "title": "Baron", "author": {"name": "Italo"}},
        None,
    ]
    assert library.count == 1


async def test_a_row_may_be_requested_twice(library: Client) -> None:
    data = await library.ask(MIXED.replace("books { title }", ""), kinds=["Author"] * 2, keys=[1, 1])
    assert [work["name"] for work in data["works"]] == ["Ursula", "Ursula"]


async def test_one_row_by_its_type_and_key(library: Client) -> None:
    query = "query ($kind: String!, $key: Int!) { work(kind: $kind, key: $key) { __typename ... on Book { title } } }"
    assert await library.ask(query, kind="Book", key=1) == {"work": {"__typename": "Book", "title": "Lathe"}}
    assert await library.ask(query, kind="Author", key=1) == {"work": {"__typename": "Author"}}
    assert await library.ask(query, kind="Book", key=99) == {"work": None}
    assert await library.ask(query, kind="Ghost", key=1) == {"work": None}
    assert library.count == 1


async def test_only_the_fields_of_the_interface(library: Client) -> None:
    data = await library.ask('{ works(kinds: ["Author", "Book"], keys: [1, 2]) { id } }')
    assert data["works"] == [{"id": global_id("Author", 1)}, {"id": global_id("Book", 2)}]


async def test_a_type_without_a_fragment_is_an_empty_object(library: Client) -> None:
    data = await library.ask('{ works(kinds: ["Author", "Book"], keys: [1, 1]) { ... on Book { title } } }')
    assert data["works"] == [{}, {"title": "Lathe"}]


async def test_a_fragment_on_the_interface_holds_for_every_type(library: Client) -> None:
    data = await library.ask(
        """{ works(kinds: ["Author", "Book"], keys: [1, 1]) { ...Named ... on Work { kind: __typename } } }
           fragment Named on Work { ... on Author { called: name } ... on Book { called: title } }"""
    )
    assert data["works"] == [{"called": "Ursula", "kind": "Author"}, {"called": "Lathe", "kind": "Book"}]


async def test_a_union_is_resolved_like_an_interface(library: Client) -> None:
    query = "query ($kind: String!) { found(kind: $kind, key: 2) { ... on Author { name } ... on Book { title } } }"
    assert await library.ask(query, kind="Author") == {"found": {"name": "Italo"}}
    assert await library.ask(query, kind="Book") == {"found": {"title": "Dispossessed"}}
    assert library.count == 1
