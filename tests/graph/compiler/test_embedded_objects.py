"""Objects without a row of their own: EmbeddedObject of a parent's columns, AggregatedRows of a statement."""

from tests.graph.compiler.conftest import Client


async def test_an_embedded_object_reads_the_columns_of_its_parent(library: Client) -> None:
    data = await library.ask("{ books { title length { pages isShort } } }")
    assert data["books"][0] == {"title": "Beowulf", "length": {"pages": 100, "isShort": True}}
    assert data["books"][1] == {"title": "Baron", "length": {"pages": 217, "isShort": False}}
    assert library.count == 1


async def test_an_embedded_object_that_does_not_exist_is_null(library: Client) -> None:
    data = await library.ask("{ books { title length: lengthIfTranslated { pages } } }")
    assert {book["title"]: book["length"] for book in data["books"]} == {
        "Beowulf": {"pages": 100},
        "Baron": {"pages": 217},
        "Lathe": None,
        "Cities": {"pages": 165},
        "Dispossessed": None,
        "Castle": {"pages": 129},
    }


async def test_a_list_over_the_rows_that_the_statement_aggregates(library: Client) -> None:
    data = await library.ask("{ authors { name shelf { pages books { title reviews { stars } } } } }")
    assert data["authors"] == [
        {
            "name": "Ursula",
            # By title: the list has an order of its own.
            "shelf": {
                "pages": 525,
                "books": [
                    {"title": "Dispossessed", "reviews": []},
                    {"title": "Lathe", "reviews": [{"stars": 4}, {"stars": 2}]},
                ],
            },
        },
        {
            "name": "Italo",
            "shelf": {
                "pages": 511,
                "books": [
                    {"title": "Baron", "reviews": []},
                    {"title": "Castle", "reviews": []},
                    {"title": "Cities", "reviews": [{"stars": 5}]},
                ],
            },
        },
        {"name": "Marvin", "shelf": {"pages": None, "books": []}},
    ]
    assert library.count == 1


async def test_a_list_has_only_rows_that_meet_its_condition(library: Client) -> None:
    # The only book has 100 pages, and the shelf lists longer ones.
    data = await library.ask("{ anonymousShelf { pages books { title } } }")
    assert data == {"anonymousShelf": {"pages": 100, "books": []}}
