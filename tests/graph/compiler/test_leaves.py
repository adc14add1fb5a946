"""Leaves: the JSON of each column type and GraphQL type."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import strawberry
from sqlalchemy import Integer, Numeric, cast, func, literal, null, select
from sqlalchemy.orm import aliased
from strawberry.scalars import JSON

from graph.compiler.pages import Page
from graph.compiler.symbols import Row, Rows
from tests.graph.compiler import tables
from tests.graph.compiler.conftest import Client
from tests.graph.compiler.library import Connection, value


@strawberry.enum
class Binding(Enum):
    HARD = "HARD"
    SOFT = "SOFT"


@strawberry.type
class Specimen:
    id: strawberry.ID
    price: Decimal | None
    weight: float | None
    is_rare: bool | None
    binding: Binding | None
    notes: JSON | None
    tags: list[str] | None
    copies: list[int] | None
    printed_on: date | None
    sold_at: datetime | None
    keys: str | None
    items: str | None

    @value(Decimal)
    def twice(self: Row) -> Any:
        return self.price * 2

    @value(Decimal)
    def exact(self: Row, number: Decimal) -> Any:
        return cast(literal(number), Numeric(38, 18))

    @value(float)
    def share(self: Row) -> Any:
        """A quotient of integers is a numeric in PostgreSQL and a Float in GraphQL."""
        return literal(3, Integer) / literal(4, Integer)

    @value(int)
    def whole(self: Row) -> Any:
        return func.sign(self.price, type_=Numeric)

    @value(list[strawberry.ID] | None)
    def copy_ids(self: Row) -> Any:
        return self.copies

    @value(str | None)
    def nothing(self: Row) -> Any:
        return None

    @value(str | None)
    def sql_nothing(self: Row) -> Any:
        return null()

    @value(str)
    def text(self: Row) -> Any:
        return 'a "text", \\ and é'

    @value(int)
    def number(self: Row) -> Any:
        return 2**31 - 1

    @value(float)
    def real(self: Row) -> Any:
        return 0.1

    @value(bool)
    def yes(self: Row) -> Any:
        return True

    @value(strawberry.ID)
    def number_as_id(self: Row) -> Any:
        return 7

    @value(Decimal)
    def decimal(self: Row) -> Any:
        return Decimal("1.50")

    @value(Binding)
    def soft(self: Row) -> Any:
        return Binding.SOFT


@strawberry.type
class Query:
    @value(list[Specimen])
    def specimens(self) -> Rows:
        specimen = aliased(tables.Specimen)
        return select(specimen).order_by(specimen.id.desc())

    @value(Connection[Specimen])
    def specimen_page(self) -> Page:
        return Page(select(aliased(tables.Specimen)), "newest", ("id",), True, limit=5)


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    return client_of(query=Query)


FULL, EMPTY = 0, 1


@pytest.mark.parametrize(
    ("field", "full", "empty"),
    [
        # 2**53 + 1, and more digits than a double holds.
        ("id", "9007199254740993", "2"),
        ("price", "12345678901234567890.12", "100"),
        ("twice", "24691357802469135780.24", "200"),
        ("weight", 0.1, None),
        ("isRare", False, None),
        ("binding", "SOFT", None),
        ("notes", {"a": [1, None, "é"]}, None),
        ("tags", ["old", "red"], None),
        ("copies", [7, 8], None),
        ("printedOn", "1899-12-31", None),
        ("soldAt", "2026-01-02T03:04:05.678901+00:00", None),
        ("nothing", None, None),
        ("sqlNothing", None, None),
    ],
)
async def test_columns(client: Client, field: str, full: Any, empty: Any) -> None:
    data = await client.ask(f"{{ specimens {{ x: {field} }} }}")
    assert data["specimens"] == [{"x": full}, {"x": empty}]
    # True == 1 in Python.
    assert [type(specimen["x"]) for specimen in data["specimens"]] == [type(full), type(empty)]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("0", "0"),
        ("0.000000000000000000", "0"),
        ("-1.500", "-1.5"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("12345678901234567890", "12345678901234567890"),
        ("1200", "1200"),
        ("1E+3", "1000"),
    ],
)
async def test_exact_numbers_are_strings_without_trailing_zeros(client: Client, number: str, text: str) -> None:
    data = await client.ask("query ($number: Decimal!) { specimens { exact(number: $number) } }", number=number)
    assert data["specimens"][FULL] == {"exact": text}


@pytest.mark.parametrize(("field", "answer"), [("share", 0.75), ("whole", 1)])
async def test_expressions_that_are_exact_in_sql_and_numbers_in_the_graph(
    client: Client, field: str, answer: float
) -> None:
    data = await client.ask(f"{{ specimens {{ x: {field} }} }}")
    assert data["specimens"][FULL] == {"x": answer}


async def test_lists_of_ids_are_lists_of_strings(client: Client) -> None:
    data = await client.ask("{ specimens { copyIds } }")
    assert data["specimens"] == [{"copyIds": ["7", "8"]}, {"copyIds": None}]


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        ("text", 'a "text", \\ and é'),
        ("number", 2**31 - 1),
        ("real", 0.1),
        ("yes", True),
        ("numberAsId", "7"),
        ("decimal", "1.50"),
        ("soft", "SOFT"),
    ],
)
async def test_values_that_resolvers_return(client: Client, field: str, answer: Any) -> None:
    data = await client.ask(f"{{ specimens {{ x: {field} }} }}")
    assert data["specimens"][FULL] == {"x": answer}
    assert type(data["specimens"][FULL]["x"]) is type(answer)


@pytest.mark.parametrize("field", ["keys", "items"])
async def test_columns_may_have_the_name_of_a_method_of_a_collection(client: Client, field: str) -> None:
    answers = [{"x": "kept" if field == "keys" else "counted"}, {"x": None}]
    data = await client.ask(f"{{ specimens {{ x: {field} }} }}")
    assert data["specimens"] == answers
    data = await client.ask(f"{{ specimenPage {{ nodes {{ x: {field} }} edges {{ node {{ x: {field} }} }} }} }}")
    assert data["specimenPage"] == {"nodes": answers, "edges": [{"node": answer} for answer in answers]}
