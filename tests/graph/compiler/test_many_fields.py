"""Objects with more fields than PostgreSQL allows arguments of a function or columns of a row."""

import pytest

from tests.graph.compiler.conftest import Client

# json_build_object takes 50 pairs, a select list 1,664 columns, concat_ws 99 texts.
COUNTS = [49, 50, 51, 99, 100, 101, 151, 1600, 1663, 1664, 1665]
MANY = 3990


def fields(count: int, field: str = "title") -> str:
    return " ".join(f"f{number}: {field}" for number in range(count))


def answers(count: int, answer: object) -> dict[str, object]:
    return {f"f{number}": answer for number in range(count)}


@pytest.mark.parametrize("count", [*COUNTS, MANY])
async def test_rows_with_many_fields(library: Client, count: int) -> None:
    data = await library.ask(f"{{ books(longerThan: 300) {{ {fields(count)} }} }}")
    assert data["books"] == [answers(count, "Dispossessed")]
    assert library.count == 1


@pytest.mark.parametrize("count", [*COUNTS, MANY])
async def test_nodes_with_many_fields(library: Client, count: int) -> None:
    data = await library.ask(f"{{ bookPage(first: 1) {{ nodes {{ {fields(count)} }} }} }}")
    assert data["bookPage"]["nodes"] == [answers(count, "Beowulf")]
    assert list(data["bookPage"]["nodes"][0]) == list(answers(count, None))


@pytest.mark.parametrize("count", [50, 51, 101])
async def test_embedded_objects_with_many_fields(library: Client, count: int) -> None:
    data = await library.ask(f"{{ books(longerThan: 300) {{ length {{ {fields(count, 'pages')} }} }} }}")
    assert data["books"] == [{"length": answers(count, 341)}]


@pytest.mark.parametrize("count", [50, 51, 101])
async def test_pages_with_many_fields(library: Client, count: int) -> None:
    page_info = fields(count, "startCursor")
    data = await library.ask(f"{{ bookPage {{ {fields(count, 'totalCount')} pageInfo {{ {page_info} }} }} }}")
    page_info = data["bookPage"].pop("pageInfo")
    assert data["bookPage"] == answers(count, 6)
    assert len(page_info) == count
    assert len(set(page_info.values())) == 1


@pytest.mark.parametrize("count", [50, 51, 101, 151])
async def test_many_fields_with_a_long_name_among_them(library: Client, count: int) -> None:
    # The long name cannot be a column, so the whole object is built from chunks.
    name = "n" * 64
    data = await library.ask(f"{{ author(id: 1) {{ {fields(count, 'name')} {name}: penName }} }}")
    assert data["author"] == {**answers(count, "Ursula"), name: None}


async def test_many_fields_that_hold_braces_and_commas(library: Client) -> None:
    # Chunks are joined as texts, whatever their content.
    data = await library.ask(
        f"{{ author(id: 2) {{ {fields(60, 'books { title reviews { stars } }')} {'n' * 64}: books {{ title }} }} }}"
    )
    books = [
        {"title": "Baron", "reviews": []},
        {"title": "Cities", "reviews": [{"stars": 5}]},
        {"title": "Castle", "reviews": []},
    ]
    assert data["author"]["f0"] == books
    assert data["author"]["f59"] == books
