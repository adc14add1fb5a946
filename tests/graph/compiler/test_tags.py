"""Dependencies of statements: whole tables, or the rows of one member if all selects are restricted to it."""

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


def test_a_reference_in_the_same_select(library: Any, book: Any) -> None:
    found = select(book.c.id).where(book.c.library_id == library.c.id, named(library))
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}


def test_a_reference_by_a_join(library: Any, book: Any) -> None:
    joined = select(book.c.id).join_from(library, book, library.c.id == book.c.library_id).where(named(library))
    assert depends_on(joined) == {("books", "a"), ("libraries", "a")}
    outer = select(book.c.id).join_from(library, book, library.c.id == book.c.library_id, isouter=True)
    assert depends_on(outer.where(named(library))) == {("books", None), ("libraries", "a")}


def test_a_reference_from_a_subquery(library: Any, book: Any) -> None:
    of_library = select(book.c.id).where(book.c.library_id == library.c.id).correlate(library).scalar_subquery()
    assert depends_on(select(of_library).select_from(library).where(named(library))) == {
        ("books", "a"),
        ("libraries", "a"),
    }


def test_a_reference_to_a_reference(library: Any, book: Any) -> None:
    """The member is found through any chain of equalities of its key."""
    other = BOOK.alias()
    first = select(book.c.library_id, book.c.id).where(book.c.library_id == library.c.id, named(library)).subquery()
    found = select(other.c.id).where(other.c.library_id == first.c.library_id)
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}
    # Another key may refer to rows of any member.
    found = select(other.c.id).where(other.c.id == first.c.id)
    assert depends_on(found) == {("books", "a"), ("books", None), ("libraries", "a")}


def test_a_criterion_on_one_table_does_not_restrict_another(library: Any, book: Any) -> None:
    summary = SUMMARY.alias()
    found = select(book.c.id).where(summary.c.library_id == library.c.id, named(library), book.c.id > 3)
    assert depends_on(found) == {("books", "a"), ("books", None), ("libraries", "a")}


def test_a_key_from_a_scalar_subquery(library: Any, book: Any) -> None:
    key = select(library.c.id).where(named(library)).scalar_subquery()
    assert depends_on(select(book.c.id).where(book.c.library_id == key)) == {("books", "a"), ("libraries", "a")}


def test_a_criterion_in_a_subquery_does_not_restrict_the_outer_select(library: Any, book: Any) -> None:
    """The outer select reads rows of all libraries."""
    other = BOOK.alias()
    related = exists(
        select(other.c.id).where(
            other.c.library_id == book.c.library_id, other.c.library_id == library.c.id, named(library)
        )
    )
    assert depends_on(select(book.c.id, related)) == {("books", None), ("books", "a"), ("libraries", "a")}
    there = exists(select(library.c.id).where(library.c.id == book.c.library_id, named(library)))
    assert depends_on(select(book.c.id).where(or_(there, book.c.id > 3))) == {("books", None), ("libraries", "a")}


def test_an_alternative_does_not_restrict(library: Any, book: Any) -> None:
    either = or_(named(library), library.c.id == 3)
    found = select(book.c.id).where(book.c.library_id == library.c.id, either)
    assert depends_on(found) == {("books", None), ("libraries", None)}
    negated = select(library.c.id).where(library.c.code != func.upper(bound(None, "a")))
    assert depends_on(negated) == {("libraries", None)}


def test_a_table_is_restricted_only_if_both_selects_of_it_are(library: Any, book: Any) -> None:
    narrow = select(func.max(book.c.id)).where(book.c.library_id == library.c.id, named(library)).scalar_subquery()
    wide = select(func.max(book.c.id)).scalar_subquery()
    assert depends_on(select(narrow, wide)) == {("books", None), ("libraries", "a")}


def test_other_columns_are_not_keys(library: Any, book: Any) -> None:
    found = select(book.c.id).where(book.c.author_id == library.c.id, named(library))
    assert depends_on(found) == {("books", None), ("libraries", "a")}


def test_a_table_that_triggers_fill_is_announced_as_their_table(library: Any) -> None:
    summary = SUMMARY.alias()
    found = select(summary.c.library_id).where(summary.c.library_id == library.c.id, named(library))
    assert depends_on(found) == {("books", "a"), ("libraries", "a")}


def test_a_constant_depends_on_nothing() -> None:
    assert depends_on(select(func.now())) == set()
