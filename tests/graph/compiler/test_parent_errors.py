"""Errors below concrete parents: on the field of every parent, and no further than nullability lets them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from sqlalchemy import literal, select
from sqlalchemy.orm import aliased

from graph.compiler.symbols import Row, Rows
from tests.graph.compiler import loans, tables
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.library import Book, by_id, relation, value
from tests.graph.compiler.loans import Slip


class Refusal(Exception):
    extensions = {"code": "REFUSED"}


@strawberry.type
class Torn:
    """A book whose fields cannot be resolved."""

    title: str

    @value(int | None)
    def page(self: Row) -> Any:
        raise Refusal("The page is torn.")

    @value(int | None)
    def located(self: Row) -> Any:
        raise GraphQLError("The page is gone.")


@strawberry.type
class Loan:
    label: str

    @relation(Book | None)
    def book(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(Book | None)
    def refused(self: Row) -> Rows:
        raise Refusal("Nobody may see it.")

    @relation(Book)
    def refused_book(self: Row) -> Rows:
        raise Refusal("Nobody may see it.")

    @relation(Book | None)
    def broken(self: Row) -> Rows:
        book = aliased(tables.Book)
        return select(book).where(literal(1) / (book.id - book.id) == self.book_id)

    @relation(Book)
    def lent_book(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(list[Torn])
    def torn(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @relation(Torn | None)
    def torn_one(self: Row) -> Rows:
        return by_id(tables.Book, self.book_id)

    @value(int)
    def broken_number(self: Row) -> Any:
        raise Refusal("No number.")


@strawberry.type
class Query:
    @value(list[Loan])
    def loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan | None])
    def some_loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan] | None)
    def perhaps_loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan | None])
    async def later_loans(self, info: strawberry.Info) -> AsyncIterator[Any]:
        for parent in info.context.parents:
            yield parent


@pytest.fixture
def desk(client_of: Callable[..., Client]) -> Client:
    desk = client_of(query=Query)
    desk.parents = [Slip("a", 1), Slip("b", 2), Slip("c", 99)]
    return desk


def places(answer: Any) -> list[Any]:
    return [error["path"] for error in answer["errors"]]


async def test_an_error_of_a_resolver_is_that_of_every_parent(desk: Client) -> None:
    answer = await desk.answer("{ loans { label x: refused { title } } }")
    assert answer["data"] == {"loans": [{"label": label, "x": None} for label in "abc"]}
    assert places(answer) == [["loans", 0, "x"], ["loans", 1, "x"], ["loans", 2, "x"]]
    assert {error["message"] for error in answer["errors"]} == {"Nobody may see it."}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "REFUSED"}] * 3
    assert [error["locations"] for error in answer["errors"]] == [[{"line": 1, "column": 17}]] * 3
    assert desk.count == 0


async def test_an_error_of_the_statement_is_that_of_every_parent(desk: Client) -> None:
    answer = await desk.answer("{ loans { label broken { title } } }")
    assert answer["data"] == {"loans": [{"label": label, "broken": None} for label in "abc"]}
    assert places(answer) == [["loans", place, "broken"] for place in range(3)]
    assert desk.count == 1


async def test_other_relations_of_the_same_parents_are_answered(desk: Client) -> None:
    answer = await desk.answer("{ loans { refused { title } broken { title } book { title } } }")
    assert [loan["book"] for loan in answer["data"]["loans"]] == [{"title": "Lathe"}, {"title": "Dispossessed"}, None]
    assert len(answer["errors"]) == 6


@pytest.mark.parametrize(("field", "message"), [("page", "The page is torn."), ("located", "The page is gone.")])
async def test_an_error_below_a_relation_names_the_field_under_its_own_parent(
    desk: Client, field: str, message: str
) -> None:
    answer = await desk.answer(f"{{ loans {{ tornOne {{ title x: {field} }} }} }}")
    assert answer["data"] == {"loans": [{"tornOne": None}] * 3}
    assert [error["message"] for error in answer["errors"]] == [message] * 3
    assert places(answer) == [["loans", place, "tornOne", "x"] for place in range(3)]


async def test_an_error_in_a_non_null_relation_takes_its_parent_along(desk: Client) -> None:
    answer = await desk.answer("{ someLoans { label refusedBook { title } } }")
    assert answer["data"] == {"someLoans": [None, None, None]}
    assert places(answer) == [["someLoans", place, "refusedBook"] for place in range(3)]


async def test_an_error_in_a_non_null_relation_takes_a_list_of_non_null_parents_along(desk: Client) -> None:
    answer = await desk.answer("{ perhapsLoans { refusedBook { title } } }")
    assert answer["data"] == {"perhapsLoans": None}
    [error] = answer["errors"]
    assert error["path"] == ["perhapsLoans", 0, "refusedBook"]
    answer = await desk.answer("{ loans { torn { title page } } }")
    assert answer["data"] is None
    assert places(answer)[0][-2:] == ["torn", "page"]


async def test_a_non_null_relation_without_a_row_is_an_error_of_its_parent_alone(desk: Client) -> None:
    answer = await desk.answer("{ someLoans { label lentBook { title } } }")
    assert answer["data"] == {
        "someLoans": [
            {"label": "a", "lentBook": {"title": "Lathe"}},
            {"label": "b", "lentBook": {"title": "Dispossessed"}},
            None,
        ]
    }
    [error] = answer["errors"]
    assert error["path"] == ["someLoans", 2, "lentBook"]
    assert "Book" in error["message"]
    assert desk.count == 1


async def test_an_error_beside_a_relation_leaves_nothing_behind(desk: Client) -> None:
    # The relation has begun when its sibling fails; pytest would tell of a coroutine that nobody awaited.
    answer = await desk.answer("{ someLoans { book { title } brokenNumber } }")
    assert answer["data"] == {"someLoans": [None, None, None]}
    assert places(answer) == [["someLoans", place, "brokenNumber"] for place in range(3)]


async def test_an_attribute_that_a_parent_does_not_have_is_an_error(desk: Client) -> None:
    desk.parents = [object()]
    answer = await desk.answer("{ loans { book { title } } }")
    assert answer["data"] == {"loans": [{"book": None}]}
    assert places(answer) == [["loans", 0, "book"]]
    assert "book_id" in answer["errors"][0]["message"]


async def test_an_error_of_one_mutation_leaves_the_others(client_of: Callable[..., Client]) -> None:
    desk = client_of(query=loans.Query, mutation=loans.Mutation)
    answer = await desk.answer(
        "mutation { a: lend(bookId: 1) { book { title } } b: lend(bookId: 2) { lentBook { title author { name } } } }"
    )
    assert answer == {
        "data": {
            "a": {"book": {"title": "Lathe"}},
            "b": {"lentBook": {"title": "Dispossessed", "author": {"name": "Ursula"}}},
        }
    }
    answer = await desk.answer("mutation { lend(bookId: 99) { lentBook { title } } }")
    assert answer["data"] is None
    assert places(answer) == [["lend", "lentBook"]]
