"""Global ids: PostgreSQL and Python encode them alike, and Python rejects all other texts."""

import base64

import pytest
from sqlalchemy import BigInteger, Integer, literal, select

from db.engine import Database
from graph.compiler.global_ids import InvalidGlobalId, global_id, read_global_id


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize("key", [1, 9, 10, 2**31, 2**63 - 1])
async def test_postgresql_and_python_encode_alike(library_database: Database, key: int) -> None:
    encoded_id = await library_database.fetch_value(select(global_id("Book", literal(key, BigInteger))))
    assert encoded_id == global_id("Book", key) == encoded(f"Book:{key}")
    assert read_global_id(encoded_id) == ("Book", key)


async def test_a_long_id_is_one_line(library_database: Database) -> None:
    name = "B" * 100
    encoded_id = await library_database.fetch_value(select(global_id(name, literal(5, Integer))))
    assert encoded_id == encoded(f"{name}:5")
    assert read_global_id(encoded_id) == (name, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Book:1",
        "Qm9vazox\n",
        " Qm9vazox",
        "Qm9vazo",
        "\uff31m9vazox",
        "\ud800",
        "\x00",
        encoded(b"\xff:1"),
        encoded(""),
        encoded(":"),
        encoded("Book"),
        encoded("Book:"),
        encoded(":1"),
        encoded("Book:0"),
        encoded("Book:01"),
        encoded("Book:-1"),
        encoded("Book:+1"),
        encoded("Book: 1"),
        encoded("Book:1 "),
        encoded("Book:1\n"),
        encoded("Book:1:2"),
        encoded("Book:1.0"),
        encoded("Book:1_0"),
        encoded("Book:x"),
        encoded("Book:\u0661"),
        encoded("Book:\uff11"),
        encoded("Büch:1"),
        encoded("Book Store:1"),
        encoded(f"Book:{2**63}"),
        encoded("Book:" + "9" * 19),
        encoded("Book:" + "1" * 20),
        encoded("Book:" + "1" * 5000),
    ],
)
def test_a_text_that_is_no_global_id_is_rejected(text: str) -> None:
    with pytest.raises(InvalidGlobalId):
        read_global_id(text)


def test_an_unknown_type_is_decoded_too() -> None:
    assert read_global_id(encoded("Ghost:7")) == ("Ghost", 7)
