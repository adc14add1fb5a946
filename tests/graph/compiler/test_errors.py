"""Errors and limits of a statement: their paths, and which fields become null."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
import strawberry
from graphql import GraphQLError
from sqlalchemy import select
from sqlalchemy.orm import aliased
from strawberry.permission import BasePermission

from graph.compiler.statement import MAX_DEPTH, MAX_FIELDS, MAX_ROOT_FIELDS, MAX_SELECTS, TooLarge
from graph.compiler.symbols import Row, Rows
from tests.graph.compiler import tables
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.library import Book, by_id, value


class SecretError(Exception):
    extensions = {"code": "SECRET"}


class NeverAllowed(BasePermission):
    message = "Not allowed."
    error_extensions = {"code": "FORBIDDEN"}

    def has_permission(self, *_: Any, **__: Any) -> bool:
        return False


@strawberry.type
class Person:
    name: str

    @value(list["Person"])
    def peers(self: Row) -> Rows:
        return rows()

    @value(int | None)
    def fails(self: Row) -> Any:
        raise SecretError("It is a secret.")

    @value(int | None)
    def fails_in_graphql(self: Row) -> Any:
        raise GraphQLError("It is a secret.", extensions={"code": "SECRET"})

    @value(int | None)
    def truth_tests(self: Row) -> Any:
        return 1 if self.id > 1 else 2

    @value(int)
    def takes(self: Row, number: int) -> Any:
        return self.id + number

    @value(int | None)
    def breaks(self: Row) -> Any:
        return self.id / (self.id - self.id)

    @value(Book | None)
    def no_rows(self: Row) -> Any:
        return 5

    secret: str = strawberry.field(name="secret", resolver=lambda: "x", permission_classes=[NeverAllowed])


Key = Annotated[int, strawberry.argument(name="id")]


@strawberry.type
class Query:
    @value(Person | None)
    def author(self, id_: Key = 1) -> Rows:
        return by_id(tables.Author, id_)

    @value(Person)
    def some_author(self, id_: Key = 1) -> Rows:
        return by_id(tables.Author, id_)

    @value(list[Person] | None)
    def authors(self) -> Rows:
        return rows()

    @value(list[Person])
    def some_authors(self) -> Rows:
        return rows()

    @value(Person | None)
    async def async_author(self) -> Rows:
        return by_id(tables.Author, 1)


def rows() -> Rows:
    return select(aliased(tables.Author))


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of(query=Query)


@pytest.mark.parametrize(
    ("field", "message", "code"),
    [
        ("fails", "It is a secret.", "SECRET"),
        ("failsInGraphql", "It is a secret.", "SECRET"),
        ("secret", "Not allowed.", "FORBIDDEN"),
    ],
)
async def test_an_error_of_a_nested_resolver_names_its_own_field(
    client: Client, field: str, message: str, code: str
) -> None:
    answer = await client.answer(f"{{ authors {{ x: peers {{\n  name y: {field} }} }} ok: author {{ name }} }}")
    assert answer["data"] == {"authors": None, "ok": {"name": "Ursula"}}
    [error] = answer["errors"]
    # Without indices: the resolver runs once for all rows.
    assert error["path"] == ["authors", "x", "y"]
    assert error["locations"] == [{"line": 2, "column": 8}]
    assert error["message"] == message
    assert error["extensions"]["code"] == code
    # Only the statement of the other root field.
    assert client.count == 1


async def test_an_error_of_an_argument_names_its_own_field(client: Client) -> None:
    # Validation accepts a nullable variable with a default for a non-null argument; execution rejects its null.
    query = "query ($number: Int = 1) { authors { peers { takes(number: $number) } } }"
    answer = await client.answer(query, number=None)
    assert answer["data"] == {"authors": None}
    [error] = answer["errors"]
    assert error["path"] == ["authors", "peers", "takes"]
    assert client.count == 0


@pytest.mark.parametrize("root", ["someAuthors", "someAuthor"])
async def test_an_error_below_a_non_null_root_field_makes_data_null(client: Client, root: str) -> None:
    answer = await client.answer(f"{{ {root} {{ peers {{ fails }} }} author {{ name }} }}")
    assert answer["data"] is None
    [error] = answer["errors"]
    assert error["path"] == [root, "peers", "fails"]


async def test_a_non_null_root_field_without_a_row(client: Client) -> None:
    answer = await client.answer("{ someAuthor(id: 9) { name } }")
    assert answer["data"] is None
    [error] = answer["errors"]
    assert error["path"] == ["someAuthor"]
    assert "Person" in error["message"]


async def test_an_error_of_the_statement_has_the_path_of_its_root_field(client: Client) -> None:
    answer = await client.answer("{ authors { peers { breaks } } author { name } }")
    assert answer["data"] == {"authors": None, "author": {"name": "Ursula"}}
    [error] = answer["errors"]
    assert error["path"] == ["authors"]


async def test_a_resolver_that_uses_the_value_of_a_column_is_an_error(client: Client) -> None:
    answer = await client.answer("{ authors { truthTests } }")
    assert answer["data"] == {"authors": None}
    assert answer["errors"][0]["path"] == ["authors", "truthTests"]
    assert client.count == 0


async def test_an_object_must_come_from_rows(client: Client) -> None:
    answer = await client.answer("{ author { noRows { title } } }")
    [error] = answer["errors"]
    assert error["path"] == ["author", "noRows"]
    assert error["message"] == "The resolver of a Book must return rows, but returned a int."


async def test_rows_of_an_async_resolver(client: Client) -> None:
    assert await client.ask("{ asyncAuthor { name } }") == {"asyncAuthor": {"name": "Ursula"}}
    answer = await client.answer("{ asyncAuthor { fails } }")
    assert answer["data"] == {"asyncAuthor": None}
    assert answer["errors"][0]["path"] == ["asyncAuthor", "fails"]


def nested(levels: int) -> str:
    """A query with this many nested fields."""
    return "{ authors { " + "peers { " * (levels - 2) + "name" + " }" * levels


async def cause_of(client: Client, query: str) -> BaseException | None:
    """The cause of the operation's only error; None without errors."""
    result = await client.schema.execute(query, context_value=client)
    if not result.errors:
        return None
    [error] = result.errors
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def limit(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(f"graph.compiler.statement.{name}", value)


async def test_the_depth_of_a_statement_has_a_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(await cause_of(client, nested(MAX_DEPTH + 2)), TooLarge)
    assert client.count == 0
    limit(monkeypatch, "MAX_DEPTH", 4)
    assert await cause_of(client, nested(5)) is None
    assert isinstance(await cause_of(client, nested(6)), TooLarge)


async def test_the_deepest_statement_is_answered(library: Client) -> None:
    # Only one of Ursula's books is longer, so each level is one row.
    pair = "books(longerThan: 300) { author { "
    pairs = MAX_DEPTH // 2 - 1
    data = await library.ask("{ author(id: 1) { " + pair * pairs + "name" + " } }" * pairs + " } }")
    answer = data["author"]
    for _ in range(pairs):
        [book] = answer["books"]
        answer = book["author"]
    assert answer == {"name": "Ursula"}
    assert library.count == 1


async def test_the_fields_of_a_statement_have_a_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    many = " ".join(f"f{number}: name" for number in range(MAX_FIELDS + 1))
    assert isinstance(await cause_of(client, f"{{ author {{ {many} }} }}"), TooLarge)
    assert client.count == 0
    limit(monkeypatch, "MAX_FIELDS", 4)
    assert await cause_of(client, "{ author { name peers { name x: name } } }") is None
    assert isinstance(await cause_of(client, "{ author { name peers { name x: name y: name } } }"), TooLarge)
    assert isinstance(await cause_of(client, "{ author { name peers { name } again: peers { name } } }"), TooLarge)


async def test_the_selects_of_a_statement_have_a_limit(library: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    many = " ".join(f"f{number}: books {{ title }}" for number in range(MAX_SELECTS))
    assert isinstance(await cause_of(library, f"{{ author(id: 1) {{ {many} }} }}"), TooLarge)
    assert library.count == 0
    limit(monkeypatch, "MAX_SELECTS", 3)
    assert await cause_of(library, "{ author(id: 1) { books { author { name } } name length: __typename } }") is None
    for query in (
        "{ author(id: 1) { books { author { name } reviews { stars } } } }",
        "{ author(id: 1) { bookPage { nodes { author { name } } edges { node { author { name } } } } } }",
        "{ author(id: 1) { books { title } b: books { title } c: books { title } } }",
        '{ work(kind: "Book", key: 1) { id } }',
    ):
        assert isinstance(await cause_of(library, query), TooLarge)


async def test_fields_that_are_merged_or_skipped_do_not_count(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, "MAX_FIELDS", 1)
    query = "{ author { name name ...F x: name @skip(if: true) } } fragment F on Author { name }"
    assert await cause_of(client, query) is None


async def test_the_root_fields_of_an_operation_share_its_limits(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, "MAX_FIELDS", 3)
    # Each operation has limits of its own.
    for _ in range(2):
        assert await cause_of(client, "{ a: author { name } b: author { name x: name } }") is None
    assert isinstance(await cause_of(client, "{ a: author { name x: name } b: author { name x: name } }"), TooLarge)


async def test_the_root_fields_of_an_operation_have_a_limit(client: Client) -> None:
    roots = [f"f{number}: author {{ name }}" for number in range(MAX_ROOT_FIELDS + 1)]
    data = await client.ask(f"{{ {' '.join(roots[:-1])} }}")
    assert list(data.values()) == [{"name": "Ursula"}] * MAX_ROOT_FIELDS
    assert isinstance(await cause_of(client, f"{{ {' '.join(roots)} }}"), TooLarge)
    answer = await client.answer(f"{{ {' '.join(roots)} }}")
    assert answer["data"] is None
    assert client.count == 0
