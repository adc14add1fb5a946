"""Rows nested to any depth are one statement."""

from tests.graph.compiler.conftest import Client


async def test_many_rows_are_a_list_in_the_order_of_the_select(library: Client) -> None:
    data = await library.ask("{ authors { name penName } }")
    assert data["authors"] == [
        {"name": "Ursula", "penName": None},
        {"name": "Italo", "penName": "Tonio"},
        {"name": "Marvin", "penName": None},
    ]
    assert library.count == 1


async def test_one_row_is_an_object_and_no_row_is_null(library: Client) -> None:
    assert await library.ask("{ author(id: 2) { name } }") == {"author": {"name": "Italo"}}
    assert await library.ask("{ author(id: 9) { name } }") == {"author": None}
    assert library.count == 1


async def test_no_rows_are_an_empty_list(library: Client) -> None:
    assert await library.ask('{ books(language: "xx") { title } }') == {"books": []}
    assert await library.ask("{ author(id: 3) { books { title } } }") == {"author": {"books": []}}


async def test_lists_in_lists_are_one_statement(library: Client) -> None:
    data = await library.ask("{ authors { name books { title reviews { stars } } } }")
    assert data["authors"] == [
        {
            "name": "Ursula",
            "books": [
                {"title": "Lathe", "reviews": [{"stars": 4}, {"stars": 2}]},
                {"title": "Dispossessed", "reviews": []},
            ],
        },
        {
            "name": "Italo",
            "books": [
                {"title": "Baron", "reviews": []},
                {"title": "Cities", "reviews": [{"stars": 5}]},
                {"title": "Castle", "reviews": []},
            ],
        },
        {"name": "Marvin", "books": []},
    ]
    assert library.count == 1


async def test_a_relation_without_a_row_is_null(library: Client) -> None:
    data = await library.ask("{ books(longerThan: 99) { title author { name } } }")
    assert {book["title"]: book["author"] for book in data["books"]} == {
        "Beowulf": None,
        "Baron": {"name": "Italo"},
        "Lathe": {"name": "Ursula"},
        "Cities": {"name": "Italo"},
        "Dispossessed": {"name": "Ursula"},
        "Castle": {"name": "Italo"},
    }
    assert library.count == 1


async def test_ten_levels_are_one_statement(library: Client) -> None:
    inner = "name"
    for _ in range(3):
        inner = f"books(longerThan: 160) {{ reviews {{ reviewer {{ {inner} }} }} }}"
    data = await library.ask(f"{{ author(id: 1) {{ {inner} }} }}")
    # Ursula's Lathe is reviewed by Italo and Marvin, Italo's Cities by Ursula; Baron and Dispossessed have no reviews.
    lathe = {"reviews": [{"reviewer": {"name": "Italo"}}, {"reviewer": {"name": "Marvin"}}]}
    unread = {"reviews": []}
    of_italo = {"books": [unread, {"reviews": [{"reviewer": {"books": [lathe, unread]}}]}]}
    of_marvin = {"books": []}
    assert data["author"]["books"] == [
        {"reviews": [{"reviewer": of_italo}, {"reviewer": of_marvin}]},
        unread,
    ]
    assert library.count == 1


async def test_each_root_field_is_a_statement(library: Client) -> None:
    data = await library.ask("{ first: author(id: 1) { name } second: author(id: 2) { name } }")
    assert data == {"first": {"name": "Ursula"}, "second": {"name": "Italo"}}
    assert library.count == 2


async def test_a_text_that_looks_like_sql_or_json_is_only_a_parameter(library: Client) -> None:
    text = "%s :x $1 '; -- \" \\ \u2028 é 🦉"
    query = "query ($text: String) { books(language: $text) { title } }"
    assert await library.ask(query, text=text) == {"books": []}
    assert text not in library.statements[0]
