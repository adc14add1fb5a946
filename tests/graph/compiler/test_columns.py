"""Rows without an entity: selects of columns that have the names of fields."""

from collections.abc import Callable
from typing import Any

import pytest
import strawberry
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from graph.compiler.cursors import position_in
from graph.compiler.pages import Page
from graph.compiler.symbols import Row, Rows
from tests.graph.compiler import tables
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.library import Book, Connection, books_of, relation, value


@strawberry.type
class Language:
    code: str
    longest: int

    @value(int)
    def book_count(self: Row) -> Any:
        return self.counted

    @relation(list[Book])
    def books(self: Row, longer_than: int = 0) -> Rows:
        return books_of(None, self.code, longer_than)


@strawberry.type
class Title:
    id: int
    title: str
    half: int

    @relation(Language)
    def language(self: Row) -> Rows:
        rows = languages().subquery()
        return select(*rows.c).where(rows.c.code == self.code)


@strawberry.type
class Query:
    @value(list[Language])
    def languages(self) -> Rows:
        return languages().order_by(func.count().desc())

    @value(Connection[Title])
    def titles(self, first: int | None = None, after: str | None = None) -> Page:
        book = aliased(tables.Book)
        rows = select(
            book.id.label("id"),
            book.title.label("title"),
            (book.pages / 2).label("quotient"),
            func.div(book.pages, 2, type_=book.pages.type).label("half"),
            book.language.label("code"),
        )
        columns = rows.selected_columns
        position = after and position_in("halves", [columns.half, columns.id], after)
        return Page(rows, "halves", ("half", "id"), False, limit=first or 50, after=position)


def languages() -> Select[Any]:
    book = aliased(tables.Book)
    columns = book.language.label("code"), func.count().label("counted"), func.max(book.pages).label("longest")
    return select(*columns).group_by(book.language)


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of(query=Query)


async def test_groups_have_fields_and_relations(client: Client) -> None:
    data = await client.ask("{ languages { code bookCount longest books(longerThan: 170) { title author { name } } } }")
    baron = {"title": "Baron", "author": {"name": "Italo"}}
    ursula = [{"title": title, "author": {"name": "Ursula"}} for title in ("Lathe", "Dispossessed")]
    assert data["languages"] == [
        {"code": "it", "bookCount": 3, "longest": 217, "books": [baron]},
        {"code": "en", "bookCount": 2, "longest": 341, "books": ursula},
        {"code": "ang", "bookCount": 1, "longest": 100, "books": []},
    ]
    assert client.count == 1


async def test_a_page_of_columns_in_the_order_of_an_expression(client: Client) -> None:
    query = """query ($after: String) { titles(first: 4, after: $after) { nodes { title half language { bookCount } }
               totalCount pageInfo { endCursor hasNextPage hasPreviousPage } } }"""
    found = (await client.ask(query))["titles"]
    assert [(node["title"], node["half"]) for node in found["nodes"]] == [
        ("Beowulf", 50),
        ("Castle", 64),
        ("Cities", 82),
        ("Lathe", 92),
    ]
    assert [node["language"]["bookCount"] for node in found["nodes"]] == [1, 3, 3, 2]
    assert found["totalCount"] == 6
    assert found["pageInfo"]["hasNextPage"] is True
    rest = (await client.ask(query, after=found["pageInfo"]["endCursor"]))["titles"]
    assert [node["title"] for node in rest["nodes"]] == ["Baron", "Dispossessed"]
    assert rest["pageInfo"]["hasPreviousPage"] is True
    assert rest["pageInfo"]["hasNextPage"] is False
    assert client.count == 1
