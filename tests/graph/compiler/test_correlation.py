"""Correlation: each nested statement selects the rows of its own parent, also if an entity is nested in itself.

A subquery that loses its correlation raises no error: it selects the rows of all parents.
"""

from collections.abc import Callable

import strawberry
from sqlalchemy import literal, select
from sqlalchemy.orm import aliased

from graph.compiler.symbols import Row, Rows, Variants
from tests.graph.compiler import tables
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.library import Author, Review, Work, by_id, relation, value


async def test_an_entity_nested_in_itself_is_correlated_with_its_own_parent(library: Client) -> None:
    data = await library.ask("{ authors { name books { title author { name books { title author { name } } } } } }")
    assert len(data["authors"]) == 3
    for author in data["authors"]:
        titles = [book["title"] for book in author["books"]]
        assert (
            titles
            == {"Ursula": ["Lathe", "Dispossessed"], "Italo": ["Baron", "Cities", "Castle"], "Marvin": []}[
                author["name"]
            ]
        )
        again = {"name": author["name"], "books": [{"title": t, "author": {"name": author["name"]}} for t in titles]}
        assert [book["author"] for book in author["books"]] == [again] * len(titles)
    assert library.count == 1


async def test_two_selections_of_one_relation_are_independent(library: Client) -> None:
    data = await library.ask(
        "{ authors { short: books { title } long: books(longerThan: 200) { title reviews { stars } } "
        "  page: bookPage(first: 1) { nodes { title } totalCount } } }"
    )
    assert data["authors"][1] == {
        "short": [{"title": "Baron"}, {"title": "Cities"}, {"title": "Castle"}],
        "long": [{"title": "Baron", "reviews": []}],
        "page": {"nodes": [{"title": "Baron"}], "totalCount": 3},
    }
    assert library.count == 1


async def test_pages_in_pages_are_correlated_with_their_own_parent(library: Client) -> None:
    data = await library.ask(
        """{ bookPage { totalCount nodes { title author { bookPage(newestFirst: true, first: 1) {
             totalCount pageInfo { hasNextPage } edges { node { title author { name } } } } } } } }"""
    )
    ursula = {
        "totalCount": 2,
        "pageInfo": {"hasNextPage": True},
        "edges": [{"node": {"title": "Dispossessed", "author": {"name": "Ursula"}}}],
    }
    italo = {
        "totalCount": 3,
        "pageInfo": {"hasNextPage": True},
        "edges": [{"node": {"title": "Castle", "author": {"name": "Italo"}}}],
    }
    authors = {node["title"]: node["author"] and node["author"]["bookPage"] for node in data["bookPage"]["nodes"]}
    assert authors == {
        "Beowulf": None,
        "Baron": italo,
        "Lathe": ursula,
        "Cities": italo,
        "Dispossessed": ursula,
        "Castle": italo,
    }
    assert data["bookPage"]["totalCount"] == 6
    assert library.count == 1


async def test_rows_of_a_join_are_parents_like_others(client_of: Callable[..., Client]) -> None:
    @strawberry.type
    class Query:
        @value(list[Author])
        def reviewed_authors(self) -> Rows:
            author, book, review = (aliased(entity) for entity in (tables.Author, tables.Book, tables.Review))
            rows = select(author).join(book, book.author_id == author.id).join(review, review.book_id == book.id)
            return rows.where(review.stars > 3).order_by(author.id)

    library = client_of(query=Query)
    data = await library.ask("{ reviewedAuthors { name books(longerThan: 180) { title } } }")
    assert data["reviewedAuthors"] == [
        {"name": "Ursula", "books": [{"title": "Lathe"}, {"title": "Dispossessed"}]},
        {"name": "Italo", "books": [{"title": "Baron"}]},
    ]


async def test_rows_of_two_tables_are_parents_like_others(client_of: Callable[..., Client]) -> None:
    @strawberry.type
    class Query:
        @value(list[Review])
        def reviews_of_italo(self) -> Rows:
            book, review = aliased(tables.Book), aliased(tables.Review)
            return select(review).where(review.book_id == book.id, book.author_id == 2)

    library = client_of(query=Query)
    data = await library.ask("{ reviewsOfItalo { stars book { title reviews { stars reviewer { name } } } } }")
    assert data["reviewsOfItalo"] == [
        {"stars": 5, "book": {"title": "Cities", "reviews": [{"stars": 5, "reviewer": {"name": "Ursula"}}]}}
    ]


async def test_keys_of_a_join_select_their_own_variant(client_of: Callable[..., Client]) -> None:
    @strawberry.type
    class Query:
        @value(list[Work | None])
        def authors_by_review(self) -> Variants:
            book, review = aliased(tables.Book), aliased(tables.Review)
            keys = select(book.author_id).join(review, review.book_id == book.id).order_by(review.id)
            return Variants(keys, literal("Author"), {"Author": by_id(tables.Author, book.author_id)})

    library = client_of(query=Query)
    data = await library.ask("{ authorsByReview { ... on Author { name } } }")
    assert data["authorsByReview"] == [{"name": "Ursula"}, {"name": "Ursula"}, {"name": "Italo"}, None]


@strawberry.type
class Credit:
    """A book's title, and its author's key from the enclosing row."""

    title: str

    @relation(Author | None)
    def author(self: Row) -> Rows:
        return by_id(tables.Author, self.credited)

    @relation(Work | None)
    def work(self: Row) -> Variants:
        """Its keys are not correlated with the parent; its variants are."""
        return Variants(select(literal("Author")), literal("Author"), {"Author": by_id(tables.Author, self.credited)})


@strawberry.type
class Person:
    name: str

    @relation(list[Credit])
    def credits(self: Row) -> Rows:
        rows = select(tables.Book.title, tables.Book.author_id).subquery()
        return select(rows.c.title, self.id.label("credited")).where(rows.c.author_id == self.id).order_by(rows.c.title)


@strawberry.type
class Credited:
    @relation(list[Person])
    def people(self) -> Rows:
        author = aliased(tables.Author)
        return select(author).order_by(author.id)


async def test_rows_may_carry_columns_of_their_parent(client_of: Callable[..., Client]) -> None:
    library = client_of(query=Credited)
    data = await library.ask("{ people { credits { title author { name } work { ... on Author { name } } } } }")
    ursula, italo = ({"author": {"name": name}, "work": {"name": name}} for name in ("Ursula", "Italo"))
    assert data["people"] == [
        {"credits": [{"title": "Dispossessed", **ursula}, {"title": "Lathe", **ursula}]},
        {"credits": [{"title": "Baron", **italo}, {"title": "Castle", **italo}, {"title": "Cities", **italo}]},
        {"credits": []},
    ]
    assert library.count == 1
