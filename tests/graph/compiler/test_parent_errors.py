"""Errors below concrete parents: each parent has the error at its own path, and null propagates from there."""

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


class SecretError(Exception):
    extensions = {"code": "SECRET"}


@strawberry.type
class Torn:
    """A book whose fields raise errors."""

    title: str

    @value(int | None)
    def page(self: Row) -> Any:
        raise SecretError("The page is torn.")

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
    def secret(self: Row) -> Rows:
        raise SecretError("It is a secret.")

    @relation(Book)
    def secret_book(self: Row) -> Rows:
        raise SecretError("It is a secret.")

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
        raise SecretError("No number.")


@strawberry.type
class Query:
    @value(list[Loan])
    def loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan | None])
    def some_loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan] | None)
    def nullable_loans(self, info: strawberry.Info) -> Any:
        return info.context.parents

    @value(list[Loan | None])
    async def async_loans(self, info: strawberry.Info) -> AsyncIterator[Any]:
        for parent in info.context.parents:
            yield parent


@pytest.fixture
def desk(client_of: Callable[..., Client]) -> Client:
    desk = client_of(query=Query)
    desk.parents = [Slip("a", 1), Slip("b", 2), Slip("c", 99)]
    return desk


def paths(answer: Any) -> list[Any]:
    return [error["path"] for error in answer["errors"]]


async def test_every_parent_has_the_error_of_a_resolver(desk: Client) -> None:
    answer = await desk.answer("{ loans { label x: secret { title } } }")
    assert answer["data"] == {"loans": [{"label": label, "x": None} for label in "abc"]}
    assert paths(answer) == [["loans", 0, "x"], ["loans", 1, "x"], ["loans", 2, "x"]]
    assert {error["message"] for error in answer["errors"]} == {"It is a secret."}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "SECRET"}] * 3
    assert [error["locations"] for error in answer["errors"]] == [[{"line": 1, "column": 17}]] * 3
    assert desk.count == 0


async def test_every_parent_has_the_error_of_the_statement(desk: Client) -> None:
    answer = await desk.answer("{ loans { label broken { title } } }")
    assert answer["data"] == {"loans": [{"label": label, "broken": None} for label in "abc"]}
    assert paths(answer) == [["loans", position, "broken"] for position in range(3)]
    assert desk.count == 1


async def test_other_relations_of_the_same_parents_are_answered(desk: Client) -> None:
    answer = await desk.answer("{ loans { secret { title } broken { title } book { title } } }")
    assert [loan["book"] for loan in answer["data"]["loans"]] == [{"title": "Lathe"}, {"title": "Dispossessed"}, None]
    assert len(answer["errors"]) == 6


@pytest.mark.parametrize(("field", "message"), [("page", "The page is torn."), ("located", "The page is gone.")])
async def test_an_error_below_a_relation_names_the_field_under_its_own_parent(
    desk: Client, field: str, message: str
) -> None:
    answer = await desk.answer(f"{{ loans {{ tornOne {{ title x: {field} }} }} }}")
    assert answer["data"] == {"loans": [{"tornOne": None}] * 3}
    assert [error["message"] for error in answer["errors"]] == [message] * 3
    assert paths(answer) == [["loans", position, "tornOne", "x"] for position in range(3)]


async def test_an_error_in_a_non_null_relation_makes_its_parent_null(desk: Client) -> None:
    answer = await desk.answer("{ someLoans { label secretBook { title } } }")
    assert answer["data"] == {"someLoans": [None, None, None]}
    assert paths(answer) == [["someLoans", position, "secretBook"] for position in range(3)]


async def test_an_error_in_a_non_null_relation_makes_a_list_of_non_null_parents_null(desk: Client) -> None:
    answer = await desk.answer("{ nullableLoans { secretBook { title } } }")
    assert answer["data"] == {"nullableLoans": None}
    [error] = answer["errors"]
    assert error["path"] == ["nullableLoans", 0, "secretBook"]
    answer = await desk.answer("{ loans { torn { title page } } }")
    assert answer["data"] is None
    assert paths(answer)[0][-2:] == ["torn", "page"]


async def test_a_non_null_relation_without_a_row_is_an_error_of_only_its_parent(desk: Client) -> None:
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


async def test_an_error_of_another_field_leaves_no_unawaited_coroutine(desk: Client) -> None:
    # The relation has started when the other field fails; pytest reports coroutines that are never awaited.
    answer = await desk.answer("{ someLoans { book { title } brokenNumber } }")
    assert answer["data"] == {"someLoans": [None, None, None]}
    assert paths(answer) == [["someLoans", position, "brokenNumber"] for position in range(3)]


async def test_an_attribute_that_a_parent_does_not_have_is_an_error(desk: Client) -> None:
    desk.parents = [object()]
    answer = await desk.answer("{ loans { book { title } } }")
    assert answer["data"] == {"loans": [{"book": None}]}
    assert paths(answer) == [["loans", 0, "book"]]
    assert "book_id" in answer["errors"][0]["message"]


async def test_an_error_of_one_mutation_does_not_affect_others(client_of: Callable[..., Client]) -> None:
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
    assert paths(answer) == [["lend", "lentBook"]]
