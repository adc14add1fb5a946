"""Response keys that clients choose: long ones, SQL keywords, names of tables and columns of the statement."""

import pytest

from tests.graph.compiler.conftest import Client

LONGEST_COLUMN = "a" * 63
LONGER = ["b" * 64, "c" * 200, "b" * 63 + "B"]


@pytest.mark.parametrize("name", [LONGEST_COLUMN, *LONGER])
async def test_long_names_of_rows(library: Client, name: str) -> None:
    # Both names have the same first 63 bytes, where PostgreSQL truncates them.
    other = name + "_"
    data = await library.ask(f"{{ {name}: author(id: 2) {{ {name}: name {other}: penName title: name }} }}")
    assert data == {name: {name: "Italo", other: "Tonio", "title": "Italo"}}


async def test_long_names_in_lists_of_lists(library: Client) -> None:
    name = "n" * 70
    data = await library.ask(f"{{ {name}: authors {{ {name}: books(longerThan: 200) {{ {name}: title }} }} }}")
    assert data == {name: [{name: [{name: "Dispossessed"}]}, {name: [{name: "Baron"}]}, {name: []}]}
    assert library.count == 1


async def test_long_names_in_pages(library: Client) -> None:
    name = "p" * 64
    data = await library.ask(
        f"{{ {name}: bookPage(first: 1) {{ {name}: totalCount {name}_e: edges {{ {name}: node {{ {name}: title }} }}"
        f"  {name}_n: nodes {{ {name}: title }} {name}_i: pageInfo {{ {name}: hasNextPage }} }} }}"
    )
    assert data[name] == {
        name: 6,
        f"{name}_e": [{name: {name: "Beowulf"}}],
        f"{name}_n": [{name: "Beowulf"}],
        f"{name}_i": {name: True},
    }


async def test_long_names_in_embedded_objects_and_variants(library: Client) -> None:
    name = "q" * 64
    data = await library.ask(
        f'{{ {name}: work(kind: "Book", key: 1) {{ ... on Book {{ {name}: length {{ {name}: pages }}'
        f"  {name}_none: lengthIfTranslated {{ {name}: pages }} }} }} }}"
    )
    assert data == {name: {name: {name: 184}, f"{name}_none": None}}


async def test_names_that_are_sql_keywords(library: Client) -> None:
    words = ["select", "from", "where", "order", "group", "user", "all", "null", "true", "end", "case", "row", "object"]
    data = await library.ask(f"{{ author(id: 2) {{ {' '.join(f'{word}: name' for word in words)} }} }}")
    assert data["author"] == dict.fromkeys(words, "Italo")


async def test_names_that_differ_only_in_case(library: Client) -> None:
    data = await library.ask(
        "{ author(id: 2) { name NAME: penName Name: books(longerThan: 200) { title Title: pages TITLE: language } } }"
    )
    assert data["author"] == {
        "name": "Italo",
        "NAME": "Tonio",
        "Name": [{"title": "Baron", "Title": 217, "TITLE": "it"}],
    }


@pytest.mark.parametrize("name", ["id", "authors_1", "author_id", "published_at", "title", "books_1", "value", "count"])
async def test_names_of_columns_and_tables_as_aliases_of_other_fields(library: Client, name: str) -> None:
    data = await library.ask(f"{{ author(id: 2) {{ {name}: books {{ {name}: pages }} }} }}")
    assert data["author"] == {name: [{name: 217}, {name: 165}, {name: 129}]}


@pytest.mark.parametrize("number", range(1, 5))
async def test_names_of_anonymous_tables_of_the_statement(library: Client, number: int) -> None:
    # row_to_json(anon_1) means the column of that name if there is one, else the row.
    name = f"anon_{number}"
    data = await library.ask(
        f"{{ author(id: 2) {{ {name}: name x: books(longerThan: 200) {{ {name}: title }} }}"
        f"  page: bookPage(first: 1) {{ {name}: totalCount nodes {{ {name}: title }} }} }}"
    )
    assert data == {
        "author": {name: "Italo", "x": [{name: "Baron"}]},
        "page": {name: 6, "nodes": [{name: "Beowulf"}]},
    }


async def test_names_of_the_columns_that_a_page_adds(library: Client) -> None:
    data = await library.ask(
        "{ bookPage(last: 2) { page_position: totalCount nodes { page_position: title } pageInfo { hasNextPage } } }"
    )
    assert data["bookPage"] == {
        "page_position": 6,
        "nodes": [{"page_position": "Dispossessed"}, {"page_position": "Castle"}],
        "pageInfo": {"hasNextPage": False},
    }
