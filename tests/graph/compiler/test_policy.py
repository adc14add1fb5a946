"""The cache policy of an operation: its strictest field decides."""

from typing import Any

import pytest
import strawberry

from graph.compiler.deferred import DeferredValue, Planning
from graph.compiler.policy import AGE_OVERRIDE, AgeOverride, CacheControl, CacheControlScope, Policy
from graph.graphql_core_compat import graphql_schema

PRIVATE = CacheControlScope.PRIVATE


@strawberry.type(directives=[CacheControl(max_age=100)])
class Book:
    title: str
    stock: int = strawberry.field(directives=[CacheControl(max_age=10)])
    reader: str = strawberry.field(directives=[CacheControl(scope=PRIVATE)])


@strawberry.type
class Bare:
    title: str


@strawberry.type(directives=[CacheControl(max_age=50, scope=PRIVATE)])
class Loan:
    title: str


@strawberry.type
class Query:
    book: Book
    bare: Bare
    loan: Loan
    counted: Loan = strawberry.field(directives=[CacheControl(max_age=5)])
    live: Book = strawberry.field(directives=[CacheControl(max_age=0)])
    archived: list[Book] = strawberry.field(
        directives=[CacheControl(max_age=20)],
        metadata={AGE_OVERRIDE: AgeOverride("year", lambda year: year is not None and year < 2000, 500)},
    )


SCHEMA = graphql_schema(strawberry.Schema(Query))


def policy(*names: str, **arguments: Any) -> Policy:
    """The policy of these fields, each given as Type.field."""
    found = Policy()
    for name in names:
        type_name, _, field_name = name.partition(".")
        type_: Any = SCHEMA.type_map[type_name]
        found.visit(type_.fields[field_name], arguments)
    return found


@pytest.mark.parametrize(
    ("names", "seconds"),
    [
        (["Query.book"], 100),
        (["Query.book", "Book.title"], 100),
        (["Query.book", "Book.stock"], 10),
        (["Query.archived", "Book.title"], 20),
        (["Query.book", "Query.archived"], 20),
        (["Query.bare", "Query.book"], 100),
    ],
)
def test_the_strictest_field_decides(names: list[str], seconds: int) -> None:
    found = policy(*names)
    assert (found.is_cacheable, found.max_age_seconds({})) == (True, seconds)


def test_fields_without_a_policy_are_not_cacheable() -> None:
    assert not policy("Query.bare", "Bare.title").is_cacheable
    assert not policy().is_cacheable


@pytest.mark.parametrize("names", [["Query.live"], ["Query.book", "Query.live", "Book.title"]])
def test_max_age_zero_is_not_cacheable(names: list[str]) -> None:
    assert not policy(*names).is_cacheable


@pytest.mark.parametrize("names", [["Query.loan"], ["Query.counted"], ["Book.reader"], ["Query.book", "Query.loan"]])
def test_one_private_field_makes_the_answer_private(names: list[str]) -> None:
    assert policy(*names).is_private


def test_without_private_fields_the_answer_is_public() -> None:
    assert not policy("Query.book", "Book.title", "Query.archived").is_private


def test_the_policy_of_a_type_that_an_interface_returns() -> None:
    found = policy("Query.book")
    found.visit_type(SCHEMA.type_map["Loan"])  # type: ignore[arg-type]
    assert (found.is_private, found.max_age_seconds({})) == (True, 50)


def test_an_argument_may_override_max_age() -> None:
    assert policy("Query.archived", year=1990).max_age_seconds({}) == 500
    assert policy("Query.archived", year=2010).max_age_seconds({}) == 20
    assert policy("Query.archived", "Query.book", year=1990).max_age_seconds({}) == 100


def test_an_override_is_evaluated_for_each_request() -> None:
    year = DeferredValue("year", lambda values: values["year"], 1990, Planning())
    found = policy("Query.archived", year=year)
    assert [found.max_age_seconds({"year": year}) for year in (1990, 2010, None)] == [500, 20, 20]
