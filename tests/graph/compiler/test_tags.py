"""What statements depend on: whole tables, or one member's rows where the statement narrows them to it."""

from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Select, Table, Text, exists, func, or_, select
from sqlalchemy import bindparam as bound

from graph.compiler.plans import _compile_select

METADATA = MetaData()
LIBRARY = Table(
    "libraries",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("code", Text),
    info={"announced_by": "code"},
)
BOOK = Table(
    "books",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("library_id", ForeignKey("libraries.id")),
    Column("author_id", BigInteger),
)
SUMMARY = Table("summaries", METADATA, Column("library_id", ForeignKey("libraries.id")), info={"announced_as": "books"})


def depends_on(statement: Select[Any]) -> set[tuple[str, Any]]:
    _, _, found = _compile_select([statement.scalar_subquery()])
    return {(table, member and member({})) for table, member in found}


@pytest.fixture
def library() -> Any:
    return LIBRARY.alias()


@pytest.fixture
def book() -> Any:
    return BOOK.alias()


def named(library: Any, code: str = "a") -> Any:
    return library.c.code == func.upper(bound(None, code))


def test_a_whole_table(book: Any) -> None:
    assert depends_on(select(book.c.id)) == {("books", None)}


def test_the_member_itself(library: Any) -> None:
    assert depends_on(select(library.c.id).where(named(library))) == {("libraries", "a")}
    assert depends_on(select(library.c.id).where(library.c.code == bound(None, "b"))) == {("libraries", "b")}


def test_what_refers_to_it_in_the_same_select(library: Any, book: Any) -> None:
    found = select(book.c.id).where(book.c.library_id == library.c.id, named(library))
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}


def test_what_refers_to_it_by_a_join(library: Any, book: Any) -> None:
    joined = select(book.c.id).join_from(library, book, library.c.id == book.c.library_id).where(named(library))
    assert depends_on(joined) == {("books", "a"), ("libraries", "a")}
    outer = select(book.c.id).join_from(library, book, library.c.id == book.c.library_id, isouter=True)
    assert depends_on(outer.where(named(library))) == {("books", None), ("libraries", "a")}


def test_what_refers_to_it_from_within(library: Any, book: Any) -> None:
    of_library = select(book.c.id).where(book.c.library_id == library.c.id).correlate(library).scalar_subquery()
    assert depends_on(select(of_library).select_from(library).where(named(library))) == {
        ("books", "a"),
        ("libraries", "a"),
    }


def test_what_refers_to_what_refers_to_it(library: Any, book: Any) -> None:
    """By the same key, however it is passed on."""
    other = BOOK.alias()
    first = select(book.c.library_id, book.c.id).where(book.c.library_id == library.c.id, named(library)).subquery()
    found = select(other.c.id).where(other.c.library_id == first.c.library_id)
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}
    # By another key it may refer to anybody's.
    found = select(other.c.id).where(other.c.id == first.c.id)
    assert depends_on(found) == {("books", "a"), ("books", None), ("libraries", "a")}


def test_what_narrows_one_table_does_not_narrow_another(library: Any, book: Any) -> None:
    summary = SUMMARY.alias()
    found = select(book.c.id).where(summary.c.library_id == library.c.id, named(library), book.c.id > 3)
    assert depends_on(found) == {("books", "a"), ("books", None), ("libraries", "a")}


def test_a_key_that_is_looked_up(library: Any, book: Any) -> None:
    key = select(library.c.id).where(named(library)).scalar_subquery()
    assert depends_on(select(book.c.id).where(book.c.library_id == key)) == {("books", "a"), ("libraries", "a")}


def test_what_is_asked_of_others_within_narrows_nothing_outside(library: Any, book: Any) -> None:
    """Rows of all libraries are read, whatever is then looked for beside each."""
    other = BOOK.alias()
    beside = exists(
        select(other.c.id).where(
            other.c.library_id == book.c.library_id, other.c.library_id == library.c.id, named(library)
        )
    )
    assert depends_on(select(book.c.id, beside)) == {("books", None), ("books", "a"), ("libraries", "a")}
    there = exists(select(library.c.id).where(library.c.id == book.c.library_id, named(library)))
    assert depends_on(select(book.c.id).where(or_(there, book.c.id > 3))) == {("books", None), ("libraries", "a")}


def test_an_alternative_narrows_nothing(library: Any, book: Any) -> None:
    either = or_(named(library), library.c.id == 3)
    found = select(book.c.id).where(book.c.library_id == library.c.id, either)
    assert depends_on(found) == {("books", None), ("libraries", None)}
    negated = select(library.c.id).where(library.c.code != func.upper(bound(None, "a")))
    assert depends_on(negated) == {("libraries", None)}


def test_rows_that_are_read_twice_are_narrowed_in_both_places(library: Any, book: Any) -> None:
    narrow = select(func.max(book.c.id)).where(book.c.library_id == library.c.id, named(library)).scalar_subquery()
    wide = select(func.max(book.c.id)).scalar_subquery()
    assert depends_on(select(narrow, wide)) == {("books", None), ("libraries", "a")}


def test_other_columns_are_no_keys(library: Any, book: Any) -> None:
    found = select(book.c.id).where(book.c.author_id == library.c.id, named(library))
    assert depends_on(found) == {("books", None), ("libraries", "a")}


def test_what_others_write_is_announced_as_theirs(library: Any) -> None:
    summary = SUMMARY.alias()
    found = select(summary.c.library_id).where(summary.c.library_id == library.c.id, named(library))
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}


def test_a_constant_reads_nothing() -> None:
    assert depends_on(select(func.now())) == set()
