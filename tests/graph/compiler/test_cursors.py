"""Cursors: Python decodes those that PostgreSQL encodes, and rejects all other texts."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import BigInteger, DateTime, Integer, SmallInteger, bindparam, literal, select

from db.engine import Database
from graph.compiler.cursors import EPOCH, MAX_LENGTH, InvalidCursor, cursor_of, position_in

TIME = literal(EPOCH, DateTime(timezone=True))
NUMBER = literal(0, BigInteger)
A_MOMENT = timedelta(microseconds=1)


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def values(cursor: str, *keys: Any, order: str = "newest") -> list[Any]:
    return [value.value for value in position_in(order, keys, cursor)]


@pytest.mark.parametrize(
    "at",
    [
        EPOCH,
        EPOCH + A_MOMENT,
        EPOCH - A_MOMENT,
        datetime(1969, 12, 31, 23, 59, 59, 500_001, tzinfo=UTC),
        datetime(1815, 6, 18, 11, 35, 0, 123_456, tzinfo=UTC),
        datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC),
        # A float of seconds has no microseconds at these times.
        datetime(9999, 12, 31, 23, 59, 59, 999_998, tzinfo=UTC),
        datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    ],
)
async def test_times_round_trip_to_the_microsecond(library_database: Database, at: datetime) -> None:
    cursor = await library_database.fetch_value(select(cursor_of("newest", [literal(at, TIME.type), NUMBER])))
    assert values(cursor, TIME, NUMBER) == [at, 0]


@pytest.mark.parametrize("number", [0, 1, -1, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)])
async def test_numbers_round_trip(library_database: Database, number: int) -> None:
    cursor = await library_database.fetch_value(select(cursor_of("newest", [literal(number, BigInteger)])))
    assert values(cursor, NUMBER) == [number]


async def test_a_long_cursor_is_one_line(library_database: Database) -> None:
    order = "a" * 300
    keys = [literal(2**63 - 1, BigInteger)] * 3
    cursor = await library_database.fetch_value(select(cursor_of(order, keys)))
    # PostgreSQL's base64 has a line break after 76 characters.
    assert cursor == encoded("|".join([order, *[str(2**63 - 1)] * 3]))
    assert values(cursor, NUMBER, NUMBER, NUMBER, order=order) == [2**63 - 1] * 3


async def test_an_order_may_have_any_letters(library_database: Database) -> None:
    cursor = await library_database.fetch_value(select(cursor_of("größte.zuerst", [NUMBER])))
    assert values(cursor, NUMBER, order="größte.zuerst") == [0]


def test_values_are_bound_with_the_types_of_their_keys() -> None:
    found = position_in("newest", [TIME, NUMBER], encoded("newest|1|2"))
    assert [type(value.type) for value in found] == [DateTime, BigInteger]
    assert len({value.key for value in found}) == 2


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "newest|1",
        "!!!!",
        "bmV3ZXN0fDE",  # without its padding
        "bmV3ZXN0fDE =",
        "bmV3ZXN0fDE=\n",
        "\uff42mV3ZXN0fDE=",
        "\ud800",
        "\x00",
        encoded(b"newest|\xff"),
        encoded(b"\xff|1"),
        encoded(""),
        encoded("|1"),
        encoded("newest"),
        encoded("newest|"),
        encoded("newest|1|"),
        encoded("newest|1|2"),
        encoded("|newest|1"),
        encoded("Newest|1"),
        encoded("newest |1"),
        encoded("oldest|1"),
        encoded("newest|x"),
        encoded("newest|1.0"),
        encoded("newest|1e3"),
        encoded("newest|0x1"),
        encoded("newest|1_000"),
        encoded("newest|+1"),
        encoded("newest|--1"),
        encoded("newest|-"),
        encoded("newest| 1"),
        encoded("newest|1\n"),
        encoded("newest|1\x00"),
        encoded("newest|\u0661"),  # digits, but not ASCII
        encoded("newest|\u00b2"),
        encoded("newest|\uff11"),
        encoded(f"newest|{2**63}"),
        encoded(f"newest|{-(2**63) - 1}"),
        encoded(f"newest|{10**19}"),
        encoded("newest|" + "1" * 20),
        encoded("newest|" + "9" * 300),
        encoded("newest|" + "1" * 5000),
        encoded("newest|" + "0" * MAX_LENGTH),
        encoded("newest|null"),
        encoded("newest|'; DROP TABLE books; --"),
    ],
)
def test_a_text_that_is_no_cursor_of_this_order_is_rejected(cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        position_in("newest", [NUMBER], cursor)


def test_a_cursor_that_is_too_long_is_rejected() -> None:
    order = "a" * MAX_LENGTH
    with pytest.raises(InvalidCursor):
        values(encoded(f"{order}|1"), NUMBER, order=order)


def test_a_cursor_needs_all_keys_of_its_order() -> None:
    assert values(encoded("newest|1|2"), NUMBER, NUMBER) == [1, 2]
    for parts in ("newest", "newest|1", "newest|1|2|3"):
        with pytest.raises(InvalidCursor):
            position_in("newest", [NUMBER, NUMBER], encoded(parts))


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63), 253402300800 * 10**6, -62135596801 * 10**6])
def test_times_outside_of_the_range_of_python_are_rejected(microseconds: int) -> None:
    with pytest.raises(InvalidCursor):
        position_in("newest", [TIME], encoded(f"newest|{microseconds}"))


@pytest.mark.parametrize(
    ("type_", "number"),
    [
        (BigInteger(), 2**63 - 1),
        (Integer(), 2**31),
        (Integer(), -(2**31) - 1),
        (SmallInteger(), 2**15),
    ],
)
async def test_a_number_outside_of_the_range_of_the_key_is_no_driver_error(
    library_database: Database, type_: Any, number: int
) -> None:
    # A forged cursor gives InvalidCursor or a page without rows.
    key = bindparam("key", 1, type_=type_)
    try:
        [value] = position_in("newest", [key], encoded(f"newest|{number}"))
    except InvalidCursor:
        return
    assert await library_database.fetch_value(select(key > value)) is (number < 0)
