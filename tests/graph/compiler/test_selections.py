"""Selections: fragments, directives, variables, one field several times."""

from typing import Any

import pytest

from tests.graph.compiler.conftest import Client


async def test_one_field_under_several_aliases_with_other_arguments(library: Client) -> None:
    data = await library.ask(
        """{ author(id: 2) { all: books { title } long: books(longerThan: 200) { title }
                            none: books(language: "en") { title } books(longerThan: 150) { pages } } }"""
    )
    assert data["author"] == {
        "all": [{"title": "Baron"}, {"title": "Cities"}, {"title": "Castle"}],
        "long": [{"title": "Baron"}],
        "none": [],
        "books": [{"pages": 217}, {"pages": 165}],
    }
    assert library.count == 1


async def test_fields_come_in_the_order_of_the_selection(library: Client) -> None:
    data = await library.ask("{ author(id: 2) { penName z: name books { title } a: name __typename name } }")
    assert list(data["author"]) == ["penName", "z", "books", "a", "__typename", "name"]


async def test_selections_of_one_field_are_merged(library: Client) -> None:
    data = await library.ask(
        """query { author(id: 1) { books(longerThan: 300) { title } ...More } author(id: 1) { name } }
           fragment More on Author { books(longerThan: 300) { pages author { name } } ... { books(longerThan: 300) {
             author { penName } } } }"""
    )
    assert data["author"] == {
        "books": [{"title": "Dispossessed", "pages": 341, "author": {"name": "Ursula", "penName": None}}],
        "name": "Ursula",
    }
    assert library.count == 1


async def test_fragments_in_fragments(library: Client) -> None:
    data = await library.ask(
        """{ author(id: 2) { ...Outer } }
           fragment Outer on Author { name ...Inner ... on Work { ... on Author { penName } } }
           fragment Inner on Author { bookPage(first: 1) { nodes { ...Title } edges { node { ...Title } } } }
           fragment Title on Book { ... on Work { __typename } title }"""
    )
    book = {"__typename": "Book", "title": "Baron"}
    assert data["author"] == {
        "name": "Italo",
        "bookPage": {"nodes": [book], "edges": [{"node": book}]},
        "penName": "Tonio",
    }


async def test_typename_at_every_level_under_any_name(library: Client) -> None:
    data = await library.ask(
        """{ __typename author(id: 1) { __typename t: __typename books(longerThan: 300) { __typename
             length { __typename } } bookPage(first: 1) { __typename edges { __typename node { __typename } }
             nodes { t: __typename } pageInfo { __typename } } } }"""
    )
    assert data == {
        "__typename": "Query",
        "author": {
            "__typename": "Author",
            "t": "Author",
            "books": [{"__typename": "Book", "length": {"__typename": "Length"}}],
            "bookPage": {
                "__typename": "BookConnection",
                "edges": [{"__typename": "BookEdge", "node": {"__typename": "Book"}}],
                "nodes": [{"t": "Book"}],
                "pageInfo": {"__typename": "PageInfo"},
            },
        },
    }


@pytest.mark.parametrize(
    ("yes", "no", "author"),
    [
        (True, False, {"name": "Italo", "penName": "Tonio", "books": [{"title": "Baron"}]}),
        (False, True, {}),
        (True, True, {"name": "Italo"}),
    ],
)
async def test_include_and_skip_at_any_depth(library: Client, yes: bool, no: bool, author: Any) -> None:
    data = await library.ask(
        """query ($yes: Boolean!, $no: Boolean!) { author(id: 2) {
             name @include(if: $yes)
             ...Pen @skip(if: $no)
             ... @include(if: $yes) @skip(if: $no) { books(longerThan: 200) { title } } } }
           fragment Pen on Author { penName }""",
        yes=yes,
        no=no,
    )
    assert data == {"author": author}
    assert library.count == 1


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("{ author(id: 1) { name @skip(if: true) } }", {"author": {}}),
        ("{ author(id: 9) { name @skip(if: true) } }", {"author": None}),
        ("{ authors { name @skip(if: true) } }", {"authors": [{}, {}, {}]}),
        ('{ books(language: "xx") { title @skip(if: true) } }', {"books": []}),
        ("{ author(id: 1) { books { title @skip(if: true) } } }", {"author": {"books": [{}, {}]}}),
        ("{ author(id: 1) { shelf { pages @skip(if: true) } } }", {"author": {"shelf": {}}}),
        ("{ bookPage { totalCount @skip(if: true) } }", {"bookPage": {}}),
        ("{ bookPage(first: 2) { nodes { title @skip(if: true) } } }", {"bookPage": {"nodes": [{}, {}]}}),
        ("{ bookPage(first: 1) { edges { cursor @skip(if: true) } } }", {"bookPage": {"edges": [{}]}}),
        ("{ bookPage { pageInfo { hasNextPage @skip(if: true) } } }", {"bookPage": {"pageInfo": {}}}),
        ('{ works(kinds: ["Book"], keys: [1]) { id @skip(if: true) } }', {"works": [{}]}),
    ],
)
async def test_an_object_whose_fields_are_all_skipped(library: Client, query: str, answer: Any) -> None:
    # The shelf aggregates two rows into one object.
    assert await library.ask(query) == answer


async def test_an_aggregate_with_only_typename_is_one_object(library: Client) -> None:
    assert await library.ask("{ author(id: 1) { shelf { __typename } } }") == {
        "author": {"shelf": {"__typename": "Shelf"}}
    }


@pytest.mark.parametrize(
    ("variables", "titles"),
    [
        ({}, ["Baron"]),
        ({"longerThan": 0}, ["Baron", "Cities", "Castle"]),
        ({"longerThan": 150, "language": "it"}, ["Baron", "Cities"]),
        ({"longerThan": 150, "language": None}, ["Baron", "Cities"]),
        ({"language": "en"}, []),
    ],
)
async def test_variables_and_their_defaults_in_nested_arguments(
    library: Client, variables: dict[str, Any], titles: list[str]
) -> None:
    data = await library.ask(
        """query ($longerThan: Int! = 200, $language: String) {
             author(id: 2) { books(longerThan: $longerThan, language: $language) { title } } }""",
        **variables,
    )
    assert [book["title"] for book in data["author"]["books"]] == titles


async def test_a_missing_variable_uses_the_default_of_its_argument(library: Client) -> None:
    data = await library.ask("query ($least: Int! = 4) { books { reviews(atLeast: $least) { stars } } }")
    assert [review["stars"] for book in data["books"] for review in book["reviews"]] == [4, 5]
    data = await library.ask("{ books { reviews { stars } } }")
    assert [review["stars"] for book in data["books"] for review in book["reviews"]] == [3, 4, 2, 5]


async def test_values_are_parameters_not_text_of_the_statement(library: Client) -> None:
    # Otherwise each value would be a statement to prepare, and SQL injection would be possible.
    query = "query ($language: String!, $longer: Int!) { books(language: $language, longerThan: $longer) { title } }"
    await library.ask(query, language="it", longer=8391)
    [first] = library.statements
    await library.ask(query, language="en'--", longer=8392)
    assert library.statements == [first]
    assert "8391" not in first
