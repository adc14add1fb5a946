"""ConditionalRows: rows of one of several tables, depending on the parent."""

import pytest

from tests.graph.compiler.conftest import Client

ADVERTISED = "{ authors { name advertised { title } firstAdvertised { title } } }"


async def test_the_first_case_that_is_true_for_the_parent_is_selected(library: Client) -> None:
    authors = (await library.ask(ADVERTISED))["authors"]
    assert library.count == 1
    titles = {author["name"]: [book["title"] for book in author["advertised"]] for author in authors}
    own = await library.ask("{ authors { name books { title } } books(longerThan: 300) { title } }")
    books = {author["name"]: [book["title"] for book in author["books"]] for author in own["authors"]}
    assert titles["Ursula"] == books["Ursula"] != []
    assert titles["Italo"] == [book["title"] for book in own["books"]] != books["Italo"]
    assert titles["Marvin"] == []
    assert {author["name"]: author["firstAdvertised"] for author in authors} == {
        "Ursula": {"title": books["Ursula"][0]},
        "Italo": None,
        "Marvin": None,
    }


@pytest.mark.parametrize("selection", ["__typename", "pages author { name books { pages } }", f"{'t' * 64}: title"])
async def test_any_selection_works_on_conditional_rows(library: Client, selection: str) -> None:
    query = f"{{ authors {{ name advertised {{ {selection} }} books {{ {selection} }} }} }}"
    authors = (await library.ask(query))["authors"]
    ursula = next(author for author in authors if author["name"] == "Ursula")
    assert ursula["advertised"] == ursula["books"] != []
