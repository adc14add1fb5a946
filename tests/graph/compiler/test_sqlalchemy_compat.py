"""The private names of SQLAlchemy that the compiler uses: these tests fail if a release changes them."""

import inspect

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.orm import aliased
from sqlalchemy.sql.compiler import SQLCompiler

from graph.compiler.plans import DIALECT
from tests.graph.compiler import tables


def test_the_hook_for_selects_has_the_parameters_that_we_read() -> None:
    """graph/compiler/plans.py reads the select and its FROM clauses by position."""
    names = list(inspect.signature(SQLCompiler._compose_select_body).parameters)
    assert names[:6] == ["self", "text", "select", "compile_state", "inner_columns", "froms"]


def test_the_hook_is_called_for_each_select() -> None:
    book = aliased(tables.Book)
    inner = select(book.id).subquery()
    compiled = select(inner.c.id).compile(dialect=DIALECT)
    assert [found.froms for found in compiled.selects] == [[inner], [alias_of(book)]]


def alias_of(entity: object) -> object:
    return select(entity).get_final_froms()[0]


def test_positional_parameters_have_an_order_and_names() -> None:
    book = aliased(tables.Book)
    compiled = select(book.id).where(book.title == "a", book.pages > 3).compile(dialect=asyncpg.dialect())
    assert [compiled.binds[name].effective_value for name in compiled.positiontup or ()] == ["a", 3]


def test_a_column_of_a_subquery_refers_to_the_column_that_it_selects() -> None:
    """graph/compiler/tags.py follows these references to the table."""
    book = aliased(tables.Book)
    inner = select(book.id).subquery()
    (selected,) = inner.c.id._proxies
    assert selected.table is alias_of(book)
