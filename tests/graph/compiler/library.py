"""The library's GraphQL types, whose resolvers return symbols of the compiler."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from sqlalchemy import Select, Text, func, literal, select, true, union_all
from sqlalchemy.orm import aliased

from graph.compiler.cursors import position_in
from graph.compiler.executor import RELATION
from graph.compiler.global_ids import global_id
from graph.compiler.pages import Page
from graph.compiler.symbols import AggregatedRows, ConditionalRows, EmbeddedObject, Row, Rows, Variants
from tests.graph.compiler import tables

Node = TypeVar("Node")


def relation(graphql_type: Any) -> Any:
    return strawberry.field(graphql_type=graphql_type, metadata={RELATION: True})


def value(graphql_type: Any) -> Any:
    return strawberry.field(graphql_type=graphql_type)


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[Node]):
    cursor: str
    node: Node


@strawberry.type
class Connection(Generic[Node]):
    edges: list[Edge[Node]]
    nodes: list[Node]
    page_info: PageInfo
    total_count: int


@strawberry.interface
class Work:
    """Anything with an author."""

    @value(strawberry.ID)
    def id(self: Row, info: strawberry.Info) -> Any:
        return global_id(info.path.typename or "", self.id)


@strawberry.type
class Length:
    """An embedded object: columns of a book, under a field of their own."""

    pages: int

    @value(bool)
    def is_short(self: Row) -> Any:
        return self.pages < 150


@strawberry.type
class Shelf:
    """One row that aggregates many: its list holds the aggregated rows."""

    @value(int | None)
    def pages(self: Row) -> Any:
        return func.sum(self.pages)

    @value(list["Book"])
    def books(self: Row) -> AggregatedRows:
        return AggregatedRows(self, self.id.table, order_by=self.title, where=self.pages > 100)


@strawberry.type
class Author(Work):
    name: str
    pen_name: str | None

    @relation(list["Book"])
    def books(self: Row, language: str | None = None, longer_than: int = 0) -> Rows:
        return books_of(self.id, language, longer_than)

    @relation(Connection["Book"])
    def book_page(
        self: Row,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        book = aliased(tables.Book)
        return page_of(select(book).where(book.author_id == self.id), first, last, after, before, newest_first)

    @relation(list["Book"])
    def advertised(self: Row) -> ConditionalRows:
        """For Ursula her own books, for Italo the long books of all authors, for others books without an author."""
        own = (self.name == "Ursula", books_of(self.id, None, 0))
        long = (self.name == "Italo", books_of(None, None, 300))
        return ConditionalRows([own, long], without_author())

    @relation(Annotated["Book", strawberry.lazy("tests.graph.compiler.library")] | None)
    def first_advertised(self: Row) -> ConditionalRows:
        return ConditionalRows(
            [(self.name == "Ursula", books_of(self.id, None, 0).limit(1))], without_author().limit(1)
        )

    @relation(Shelf)
    def shelf(self: Row) -> Rows:
        return shelf_of(lambda book: book.author_id == self.id)


@strawberry.type
class Book(Work):
    title: str
    language: str
    pages: int
    published_at: str

    @relation(Author | None)
    def author(self: Row) -> Rows:
        return by_id(tables.Author, self.author_id)

    @relation(list["Review"])
    def reviews(self: Row, at_least: int = 0) -> Rows:
        review = aliased(tables.Review)
        rows = select(review).where(review.book_id == self.id, review.stars >= at_least)
        return rows.order_by(review.id)

    @relation(Length)
    def length(self: Row) -> EmbeddedObject:
        return EmbeddedObject(self)

    @relation(Length | None)
    def length_if_translated(self: Row) -> EmbeddedObject:
        return EmbeddedObject(self, exists=self.language != "en")


@strawberry.type
class Review(Work):
    stars: int

    @relation(Book)
    def book(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(Author)
    def reviewer(self: Row) -> Rows:
        return by_id(tables.Author, self.reviewer_id)


@strawberry.type
class Query:
    @relation(list[Author])
    def authors(self) -> Rows:
        author = aliased(tables.Author)
        return select(author).order_by(author.id)

    @relation(Author | None)
    def author(self, id_: Annotated[int, strawberry.argument(name="id")]) -> Rows:
        return by_id(tables.Author, id_)

    @relation(list[Book])
    def books(self, language: str | None = None, longer_than: int = 0) -> Rows:
        return books_of(None, language, longer_than)

    @relation(Connection[Book])
    def book_page(
        self,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        newest_first: bool = False,
    ) -> Page:
        return page_of(select(aliased(tables.Book)), first, last, after, before, newest_first)

    @relation(Connection[Author])
    def author_page(self) -> Page:
        return Page(select(aliased(tables.Author)), "authors", ("id",), False, limit=2)

    @relation(Shelf)
    def anonymous_shelf(self) -> Rows:
        return shelf_of(lambda book: book.author_id.is_(None))

    @relation(Work | None)
    def work(self, kind: str, key: int) -> Variants:
        return works([kind], [key])

    @relation(list[Work | None])
    def works(self, kinds: list[str], keys: list[int]) -> Variants:
        return works(kinds, keys)

    @relation(Annotated[Author | Book, strawberry.union("Found")] | None)
    def found(self, kind: str, key: int) -> Variants:
        return works([kind], [key])


def by_id(entity: Any, key: Any) -> Rows:
    row = aliased(entity)
    return select(row).where(row.id == key)


def shelf_of(criterion: Callable[[Any], Any]) -> Rows:
    book = aliased(tables.Book)
    # HAVING makes it one row, even if no column aggregates.
    return select(book).where(criterion(book)).having(true())


def books_of(author_id: Any, language: Any, longer_than: Any) -> Rows:
    book = aliased(tables.Book)
    rows = select(book).where(book.pages > longer_than).order_by(book.published_at, book.id)
    if language is not None:
        rows = rows.where(book.language == language)
    return rows if author_id is None else rows.where(book.author_id == author_id)


def without_author() -> Rows:
    book = aliased(tables.Book)
    return select(book).where(book.author_id.is_(None), book.pages < 0)


def page_of(
    rows: Select[Any],
    first: int | None,
    last: int | None,
    after: str | None,
    before: str | None,
    newest_first: bool,
) -> Page:
    order = "newest" if newest_first else "oldest"
    book = rows.column_descriptions[0]["entity"]
    keys = [book.published_at, book.id]
    return Page(
        rows,
        order,
        ("published_at", "id"),
        newest_first,
        limit=first or last or 50,
        backward=last is not None,
        after=after and position_in(order, keys, after),
        before=before and position_in(order, keys, before),
    )


def works(kinds: Sequence[str], keys: Sequence[int]) -> Variants:
    keyed = union_all(
        *(
            select(literal(kind, Text).label("kind"), literal(key).label("key"), literal(position).label("position"))
            for position, (kind, key) in enumerate(zip(kinds, keys, strict=True))
        )
    ).subquery()
    rows = select(keyed.c.kind, keyed.c.key).order_by(keyed.c.position)
    entities = {"Author": tables.Author, "Book": tables.Book, "Review": tables.Review}
    return Variants(rows, keyed.c.kind, {name: by_id(entity, keyed.c.key) for name, entity in entities.items()})
