"""Relations of concrete parents: one statement for all parents and the whole selection below."""

from collections.abc import Callable

import pytest

from graph.compiler.global_ids import global_id
from tests.graph.compiler import loans
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.loans import Slip


@pytest.fixture
def desk(client_of: Callable[..., Client]) -> Client:
    desk = client_of(query=loans.Query)
    desk.parents = [Slip(f"slip {number}", number, 1 + number % 2, "it") for number in range(1, 7)]
    return desk


async def test_a_relation_of_many_parents_is_one_statement(desk: Client) -> None:
    data = await desk.ask("{ loans { label book { title } } }")
    assert data["loans"] == [
        {"label": "slip 1", "book": {"title": "Lathe"}},
        {"label": "slip 2", "book": {"title": "Dispossessed"}},
        {"label": "slip 3", "book": {"title": "Baron"}},
        {"label": "slip 4", "book": {"title": "Cities"}},
        {"label": "slip 5", "book": {"title": "Castle"}},
        {"label": "slip 6", "book": {"title": "Beowulf"}},
    ]
    assert desk.count == 1


async def test_the_selection_below_is_part_of_the_same_statement(desk: Client) -> None:
    data = await desk.ask(
        "{ loans { book { author { name books(longerThan: 200) { title reviews { stars } } } reviews { stars } } } }"
    )
    ursula = {"name": "Ursula", "books": [{"title": "Dispossessed", "reviews": []}]}
    italo = {"name": "Italo", "books": [{"title": "Baron", "reviews": []}]}
    assert [loan["book"] for loan in data["loans"]] == [
        {"author": ursula, "reviews": [{"stars": 4}, {"stars": 2}]},
        {"author": ursula, "reviews": []},
        {"author": italo, "reviews": []},
        {"author": italo, "reviews": [{"stars": 5}]},
        {"author": italo, "reviews": []},
        {"author": None, "reviews": [{"stars": 3}]},
    ]
    assert desk.count == 1


async def test_each_relation_of_the_same_parents_is_a_statement(desk: Client) -> None:
    data = await desk.ask("{ loans { book { title } author { name } similar { id } allAuthors { name } } }")
    assert data["loans"][0]["similar"] == [{"id": global_id("Book", key)} for key in (3, 4, 5)]
    assert [len(loan["allAuthors"]) for loan in data["loans"]] == [3] * 6
    assert [loan["author"]["name"] for loan in data["loans"]] == ["Italo", "Ursula"] * 3
    assert [loan["book"]["title"] for loan in data["loans"]][:2] == ["Lathe", "Dispossessed"]
    assert desk.count == 4


async def test_one_relation_under_two_aliases_has_two_sets_of_arguments(desk: Client) -> None:
    data = await desk.ask(
        """query ($least: Int! = 200) { loans {
             all: inLanguage { title } long: inLanguage(longerThan: $least) { title } inLanguage(longerThan: 150) {
             pages } } }"""
    )
    assert data["loans"] == [
        {
            "all": [{"title": "Baron"}, {"title": "Cities"}, {"title": "Castle"}],
            "long": [{"title": "Baron"}],
            "inLanguage": [{"pages": 217}, {"pages": 165}],
        }
    ] * len(desk.parents)
    assert desk.count == 3


async def test_variables_in_relations_of_parents(desk: Client) -> None:
    query = "query ($least: Int!, $on: Boolean!) { loans { similar(longerThan: $least) { title @include(if: $on) } } }"
    data = await desk.ask(query, least=150, on=True)
    baron, cities = {"title": "Baron"}, {"title": "Cities"}
    both, one, other = [baron, cities], [cities], [baron]
    assert [loan["similar"] for loan in data["loans"]] == [both, both, one, other, both, both]
    data = await desk.ask(query, least=200, on=False)
    assert [loan["similar"] for loan in data["loans"]] == [[{}], [{}], [], [{}], [{}], [{}]]
    assert desk.count == 1


async def test_fragments_and_merged_selections_of_parents(desk: Client) -> None:
    data = await desk.ask(
        """{ loans { ...A book { ... on Work { __typename } } } loans { book { pages } } }
           fragment A on Loan { book { title } __typename }"""
    )
    assert data["loans"][0] == {"book": {"title": "Lathe", "__typename": "Book", "pages": 184}, "__typename": "Loan"}
    assert desk.count == 1


async def test_a_connection_of_each_parent(desk: Client) -> None:
    query = """query ($after: String) { loans { byAuthor(first: 2, after: $after) {
        edges { cursor node { title author { bookPage(last: 1) { nodes { title } } } } }
        pageInfo { hasNextPage hasPreviousPage endCursor } totalCount } } }"""
    data = await desk.ask(query)
    pages = [loan["byAuthor"] for loan in data["loans"]]
    assert [[edge["node"]["title"] for edge in page["edges"]] for page in pages[:2]] == [
        ["Baron", "Cities"],
        ["Lathe", "Dispossessed"],
    ]
    assert [page["totalCount"] for page in pages] == [3, 2] * 3
    assert [page["pageInfo"]["hasNextPage"] for page in pages] == [True, False] * 3
    assert pages[0]["edges"][0]["node"]["author"] == {"bookPage": {"nodes": [{"title": "Castle"}]}}
    assert pages == pages[:2] * 3
    assert desk.count == 1
    data = await desk.ask(query, after=pages[0]["pageInfo"]["endCursor"])
    pages = [loan["byAuthor"] for loan in data["loans"]]
    assert [[edge["node"]["title"] for edge in page["edges"]] for page in pages[:2]] == [["Castle"], ["Dispossessed"]]
    assert all(page["pageInfo"]["hasPreviousPage"] for page in pages)
    assert desk.count == 1


async def test_a_connection_without_selected_rows(desk: Client) -> None:
    data = await desk.ask("{ loans { byAuthor { totalCount } } }")
    assert [loan["byAuthor"]["totalCount"] for loan in data["loans"]] == [3, 2] * 3
    assert "row_number" not in desk.statements[0]
    data = await desk.ask("{ loans { byAuthor { __typename } } }")
    assert data["loans"] == [{"byAuthor": {"__typename": "BookConnection"}}] * 6


async def test_embedded_objects_variants_and_aggregates_of_parents(desk: Client) -> None:
    desk.parents = [
        Slip("a", book_id=1, author_id=1, kind="Book", pages=None),
        Slip("b", book_id=1, author_id=2, kind="Author", pages=140),
        Slip("c", book_id=99, author_id=3, kind="Book", pages=160),
        Slip("d", book_id=1, author_id=1, kind="Ghost", pages=1),
    ]
    data = await desk.ask(
        """{ loans { work { __typename ... on Book { title } ... on Author { name books(longerThan: 200) { title } } }
                     length { pages isShort } shelf { pages books { title } } } }"""
    )
    assert [loan["work"] for loan in data["loans"]] == [
        {"__typename": "Book", "title": "Lathe"},
        {"__typename": "Author", "name": "Italo", "books": [{"title": "Baron"}]},
        None,
        None,
    ]
    assert [loan["length"] for loan in data["loans"]] == [
        None,
        {"pages": 140, "isShort": True},
        {"pages": 160, "isShort": False},
        {"pages": 1, "isShort": True},
    ]
    assert [loan["shelf"]["pages"] for loan in data["loans"]] == [525, 511, None, 525]
    assert desk.count == 3


async def test_a_single_parent(desk: Client) -> None:
    data = await desk.ask("{ loan { book { title } similar { title } } }")
    assert data["loan"]["book"] == {"title": "Lathe"}
    assert len(data["loan"]["similar"]) == 3


async def test_no_parents_need_no_statement(desk: Client) -> None:
    desk.parents = []
    assert await desk.ask("{ loans { book { title } } }") == {"loans": []}
    assert desk.count == 0


async def test_lists_of_parents_in_parents_are_one_statement(desk: Client) -> None:
    data = await desk.ask("{ loans { label renewals { label book { title } } } }")
    books = [{"title": "Lathe"}, {"title": "Dispossessed"}]
    assert [[renewal["book"] for renewal in loan["renewals"]] for loan in data["loans"]] == [books] * 6
    assert desk.count == 1


async def test_one_parent_several_times(desk: Client) -> None:
    desk.parents = [desk.parents[0], desk.parents[1], desk.parents[0], Slip("slip 1", 1, 2, "it")]
    data = await desk.ask("{ loans { book { title } } }")
    assert [loan["book"]["title"] for loan in data["loans"]] == ["Lathe", "Dispossessed", "Lathe", "Lathe"]
    assert desk.count == 1


async def test_a_parent_of_two_root_fields(desk: Client) -> None:
    data = await desk.ask("{ a: loans { book { title } } b: loans { book { pages } } }")
    assert data["a"][0] == {"book": {"title": "Lathe"}}
    assert data["b"][0] == {"book": {"pages": 184}}
    assert desk.count == 2


async def test_a_thousand_parents(desk: Client) -> None:
    desk.parents = [Slip(f"{number}", book_id=number % 7) for number in range(1000)]
    data = await desk.ask("{ loans { book { title } } }")
    titles = [loan["book"] and loan["book"]["title"] for loan in data["loans"]]
    assert titles[:8] == [None, "Lathe", "Dispossessed", "Baron", "Cities", "Castle", "Beowulf", None]
    assert titles == titles[:7] * 142 + titles[:6]
    assert desk.count == 1
