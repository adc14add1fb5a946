"""Tables of a small library, and their rows. The compiler has no knowledge of them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Enum, ForeignKey, Numeric, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        list[int]: ARRAY(BigInteger),
    }


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    # The attribute's name differs from the column's: GraphQL fields use attributes.
    pen_name: Mapped[str | None] = mapped_column("alias", key="pen_name")


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"))
    title: Mapped[str]
    language: Mapped[str]
    pages: Mapped[int]
    published_at: Mapped[datetime]


class Review(Base):
    __tablename__ = "reviews"
    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    reviewer_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    stars: Mapped[int]


class Specimen(Base):
    """One column of every type that a leaf may have."""

    __tablename__ = "specimens"
    id: Mapped[int] = mapped_column(primary_key=True)
    price: Mapped[Decimal | None] = mapped_column(Numeric(38, 18))
    weight: Mapped[float | None]
    is_rare: Mapped[bool | None]
    binding: Mapped[str | None] = mapped_column(Enum("HARD", "SOFT", name="binding"))
    notes: Mapped[dict[str, Any] | None]
    tags: Mapped[list[str] | None]
    copies: Mapped[list[int] | None]
    printed_on: Mapped[date | None]
    sold_at: Mapped[datetime | None]
    # Names of columns may equal those of methods of SQLAlchemy's column collections.
    keys = Column(Text)
    items = Column(Text)


def at(year: int, month: int = 1) -> datetime:
    return datetime(year, month, 1, tzinfo=UTC)


AUTHORS = [
    {"id": 1, "name": "Ursula", "pen_name": None},
    {"id": 2, "name": "Italo", "pen_name": "Tonio"},
    {"id": 3, "name": "Marvin", "pen_name": None},
]
BOOKS = [
    {"id": 1, "author_id": 1, "title": "Lathe", "language": "en", "pages": 184, "published_at": at(1971)},
    {"id": 2, "author_id": 1, "title": "Dispossessed", "language": "en", "pages": 341, "published_at": at(1974)},
    {"id": 3, "author_id": 2, "title": "Baron", "language": "it", "pages": 217, "published_at": at(1957)},
    {"id": 4, "author_id": 2, "title": "Cities", "language": "it", "pages": 165, "published_at": at(1972)},
    # Two books of one instant: their ids decide the order.
    {"id": 5, "author_id": 2, "title": "Castle", "language": "it", "pages": 129, "published_at": at(1974)},
    {"id": 6, "author_id": None, "title": "Beowulf", "language": "ang", "pages": 100, "published_at": at(1815)},
]
REVIEWS = [
    {"id": 1, "book_id": 1, "reviewer_id": 2, "stars": 4},
    {"id": 2, "book_id": 1, "reviewer_id": 3, "stars": 2},
    {"id": 3, "book_id": 4, "reviewer_id": 1, "stars": 5},
    {"id": 4, "book_id": 6, "reviewer_id": 1, "stars": 3},
]
SPECIMENS: list[dict[str, Any]] = [
    {
        "id": 2**53 + 1,
        "price": Decimal("12345678901234567890.120000000000000000"),
        "weight": 0.1,
        "is_rare": False,
        "binding": "SOFT",
        "notes": {"a": [1, None, "é"]},
        "tags": ["old", "red"],
        "copies": [7, 8],
        "printed_on": date(1899, 12, 31),
        "sold_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "keys": "kept",
        "items": "counted",
    },
    {"id": 2, "price": Decimal(100)},
]


async def fill(connection: AsyncConnection) -> None:
    await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(connection) as session:
        for entity, rows in ((Author, AUTHORS), (Book, BOOKS), (Review, REVIEWS), (Specimen, SPECIMENS)):
            session.add_all(entity(**row) for row in rows)
            await session.flush()
        await session.commit()
