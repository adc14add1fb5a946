"""Objects in memory with relations to the library's rows, like the payload of a mutation."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import select
from sqlalchemy.orm import aliased

from graph.compiler.pages import Page
from graph.compiler.symbols import EmbeddedObject, Row, Rows, Variants
from tests.graph.compiler import tables
from tests.graph.compiler.library import (
    Author,
    Book,
    Connection,
    Length,
    Shelf,
    Work,
    books_of,
    by_id,
    page_of,
    relation,
    shelf_of,
    value,
)


@dataclass
class Slip:
    """A loan as a Python object: it holds keys of rows."""

    label: str
    book_id: int | None = None
    author_id: int | None = None
    language: str | None = None
    since: datetime | None = None
    kind: str | None = None
    pages: int | None = None
    position: int | None = None
    table: int | None = None


@strawberry.type
class Loan:
    label: str

    @relation(Book | None)
    def book(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(Book)
    def lent_book(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(Author | None)
    def author(self: Row) -> Rows:
        return by_id(tables.Author, self.author_id)

    @relation(list[Book])
    def similar(self: Row, longer_than: int = 0) -> Rows:
        """Reads two attributes of the parent."""
        book = aliased(tables.Book)
        rows = select(book).where(book.language == self.language, book.id != self.book_id, book.pages > longer_than)
        return rows.order_by(book.id)

    @relation(list[Book])
    def in_language(self: Row, longer_than: int = 0) -> Rows:
        return books_of(None, self.language, longer_than)

    @relation(list[Book])
    def since(self: Row) -> Rows:
        book = aliased(tables.Book)
        return select(book).where(book.published_at >= self.since).order_by(book.id)

    @relation(list[Author])
    def all_authors(self: Row) -> Rows:
        """Reads no attribute of the parent."""
        author = aliased(tables.Author)
        return select(author).order_by(author.id)

    @relation(Connection[Book])
    def by_author(self: Row, first: int | None = None, after: str | None = None) -> Page:
        book = aliased(tables.Book)
        return page_of(select(book).where(book.author_id == self.author_id), first, None, after, None, False)

    @relation(Work | None)
    def work(self: Row) -> Variants:
        variants = {"Book": by_id(tables.Book, self.book_id), "Author": by_id(tables.Author, self.author_id)}
        return Variants(select(self.kind), self.kind, variants)

    @relation(Length | None)
    def length(self: Row) -> EmbeddedObject:
        return EmbeddedObject(self, exists=self.pages.is_not(None))

    @relation(Shelf)
    def shelf(self: Row) -> Rows:
        return shelf_of(lambda book: book.author_id == self.author_id)

    @relation(Book | None)
    def at_position(self: Row) -> Rows:
        return by_id(tables.Book, self.position)

    @relation(Book | None)
    def at_table(self: Row) -> Rows:
        return by_id(tables.Book, self.table)

    @value(list["Loan"])
    def renewals(self: Row) -> Any:
        return [Slip(f"{self.label} {number}", book_id=number) for number in (1, 2)]


@strawberry.type
class Query:
    @value(list[Loan])
    def loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(Loan | None)
    def loan(self, info: strawberry.Info) -> Any:
        return info.context.parents[0]


@strawberry.type
class Mutation:
    @value(Loan)
    def lend(self, book_id: int) -> Any:
        return Slip("lent", book_id=book_id)


@strawberry.type
class Subscription:
    @strawberry.subscription(graphql_type=Loan)
    async def loans(self, info: strawberry.Info) -> AsyncIterator[Any]:
        # Nothing else references an event: its memory is free when the next one is created.
        for book_id in range(1, info.context.events + 1):
            yield Slip(f"lent {book_id}", book_id=book_id, pages=book_id)
