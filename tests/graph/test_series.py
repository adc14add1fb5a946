"""Series: candles as lists, column by column."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from tests.application import Client, serving
from tests.graph.test_candles import MONDAY, store

FIELDS = "openTime open high low close volume"
ARGUMENTS = [
    "",
    "(last: 3)",
    "(interval: H4, last: 7)",
    '(interval: D1, from: "2026-10-01T05:00:00Z", to: "2026-11-01T05:00:00Z")',
    '(interval: W1, from: "2026-01-01T00:00:00Z")',
    '(to: "2026-09-01T00:00:00Z", last: 100)',
    '(interval: D1, to: "1990-01-01T00:00:00Z")',
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
async def test_each_list_is_a_field_of_the_candles(client: Client, arguments: str) -> None:
    data = await client.data(f"""{{
      cryptocurrencies {{ nodes {{ series{arguments} {{ {FIELDS} }} candles{arguments} {{ {FIELDS} }} }} }}
    }}""")
    nodes = data["cryptocurrencies"]["nodes"]
    assert len(nodes) == 5
    for node in nodes:
        assert node["series"] == columns(node["candles"])
    assert bool(nodes[0]["candles"]) is ("1990" not in arguments)


def columns(candles: list[dict[str, Any]]) -> dict[str, list[float]]:
    lists = {name: [candle[name] for candle in candles] for name in FIELDS.split()}
    return {**lists, "openTime": [seconds(at) for at in lists["openTime"]]}


def seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


async def test_a_series_beside_another(client: Client) -> None:
    data = await client.data("""{
      cryptocurrency(symbol: "BTC") {
        hours: series(last: 2) { __typename close }
        days: series(interval: D1, last: 3) { openTime }
        named: series(last: 1) { __typename }
        none: series(to: "1990-01-01T00:00:00Z") { __typename volume }
        a_name_that_is_longer_than_the_names_of_columns_can_be_in_postgresql: series(last: 1) {
          a_name_that_is_longer_than_the_names_of_columns_can_be_in_postgresql: close
        }
      }
      none: cryptocurrency(symbol: "NONE") { series { close } }
    }""")
    coin = data["cryptocurrency"]
    assert coin["hours"] == {"__typename": "CandleSeries", "close": [97366.13, 97412.35]}
    assert [at % 86400 for at in coin["days"]["openTime"]] == [0, 0, 0]
    assert coin["named"] == {"__typename": "CandleSeries"}
    assert coin["none"] == {"__typename": "CandleSeries", "volume": []}
    long = "a_name_that_is_longer_than_the_names_of_columns_can_be_in_postgresql"
    assert coin[long] == {long: [97412.35]}
    assert data["none"] is None


async def test_open_times_are_whole_numbers_and_the_lists_have_no_spaces(client: Client) -> None:
    query = '{ cryptocurrency(symbol: "BTC") { series(last: 2) { openTime close } } }'
    answer = await client.post("/graphql", json={"query": query})
    assert '{"openTime":[1795168800,1795172400],"close":[97366.13,97412.35]}' in answer.text


async def test_it_takes_less_than_half_of_the_bytes(client: Client) -> None:
    query = f'{{ cryptocurrency(symbol: "BTC") {{ %s(last: 1000) {{ {FIELDS} }} }} }}'
    sizes = [
        len((await client.post("/graphql", json={"query": query % name})).content) for name in ("series", "candles")
    ]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("last: 0", "INVALID_LIMIT"),
        ("last: 10001", "INVALID_LIMIT"),
        ("interval: M1", "INTERVAL_TOO_SHORT"),
        ('from: "now", to: "now-1d"', "INVALID_RANGE"),
        ('from: "yesterday"', "INVALID_TIME"),
    ],
)
async def test_invalid_arguments_are_rejected(client: Client, arguments: str, code: str) -> None:
    error = await client.error(
        f'{{ coin: cryptocurrency(symbol: "BTC") {{ lists: series({arguments}) {{ close }} }} }}'
    )
    assert error["extensions"]["code"] == code
    if code != "INVALID_TIME":
        assert error["path"] == ["coin", "lists"]


MINUTES = """
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
)
SELECT cryptocurrency_id, timestamp + n * interval '1 minute', 1, 1, 1, 1, 1, 'a'
FROM market_data, generate_series(1, 10000) n
"""


async def test_more_than_ten_thousand_are_rejected(database: Database, database_url: URL) -> None:
    await store(database, "MIN", "M1", [(MONDAY, 1.0, "a")])
    async with database.transaction() as connection:
        await connection.execute(text(MINUTES))
    query = 'query($to: DateTime) { cryptocurrency(symbol: "MIN") { series(from: "2025-01-01", to: $to) { close } } }'
    query = query.replace("2025-01-01", "2025-01-01T00:00:00Z")
    async with serving(database_url) as client:
        error = await client.error(query)
        assert (error["extensions"]["code"], error["extensions"]["suggestedInterval"]) == ("TOO_MANY_CANDLES", "M5")
        data = await client.data(query, to=(MONDAY + timedelta(minutes=10_000)).isoformat())
        assert len(data["cryptocurrency"]["series"]["close"]) == 10_000


async def test_times_after_2038(database: Database, database_url: URL) -> None:
    await store(database, "FAR", "H1", [(datetime(2100, 1, 1, tzinfo=UTC), 1.0, "a")])
    async with serving(database_url) as client:
        data = await client.data('{ cryptocurrency(symbol: "FAR") { series { openTime } } }')
    assert data["cryptocurrency"]["series"]["openTime"] == [4102444800]
