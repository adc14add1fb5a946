"""Candles: ranges, lengths, limits, and buckets against plain arithmetic."""

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, insert, text

from db.candle_import import import_candles
from db.engine import Database
from db.models import Candle, Cryptocurrency
from tests.application import Client, serving

MONDAY = datetime(2025, 1, 6, tzinfo=UTC)
FIELDS = "openTime closeTime open high low close volume marketCap source isClosed"
LENGTHS = {
    "M5": timedelta(minutes=5),
    "M15": timedelta(minutes=15),
    "M30": timedelta(minutes=30),
    "H1": timedelta(hours=1),
    "H4": timedelta(hours=4),
    "D1": timedelta(days=1),
    "W1": timedelta(weeks=1),
}


@pytest.fixture
async def hours(database: Database, database_url: URL) -> AsyncIterator[Client]:
    """A coin with two weeks and a bit of hourly candles from a Monday; hour n opens at n and closes at n + 0.5."""
    await store(database, "HRS", "H1", [(MONDAY + timedelta(hours=n), float(n + 1), "a") for n in range(24 * 15)])
    async with serving(database_url) as client:
        yield client


async def store(database: Database, symbol: str, interval: str, candles: list[tuple[datetime, float, str]]) -> None:
    async with database.transaction() as connection:
        added = insert(Cryptocurrency).values(symbol=symbol, name=symbol, base_interval=interval)
        coin = (await connection.execute(added.returning(Cryptocurrency.id))).scalar_one()
        rows = [
            {
                "cryptocurrency_id": coin,
                "open_time": at,
                "open": price,
                "high": price + 1,
                "low": price - 0.5,
                "close": price + 0.5,
                "volume": 2.0,
                "market_cap": price * 10,
                "source": source,
            }
            for at, price, source in candles
        ]
        # Not one by one: each statement has rollups to write as well.
        for start in range(0, len(rows), 1000):
            await connection.execute(insert(Candle).values(rows[start : start + 1000]))


async def candles(client: Client, arguments: str, symbol: str = "HRS", fields: str = FIELDS) -> list[dict[str, Any]]:
    called = f"candles({arguments})" if arguments else "candles"
    data = await client.data(f'{{ cryptocurrency(symbol: "{symbol}") {{ {called} {{ {fields} }} }} }}')
    found: list[dict[str, Any]] = data["cryptocurrency"]["candles"]
    return found


async def test_a_range_is_half_open_and_oldest_first(hours: Client) -> None:
    found = await candles(hours, 'from: "2025-01-06T02:00:00Z", to: "2025-01-06T04:00:00Z"')
    assert [candle["openTime"] for candle in found] == ["2025-01-06T02:00:00+00:00", "2025-01-06T03:00:00+00:00"]
    assert found[0] == {
        "openTime": "2025-01-06T02:00:00+00:00",
        "closeTime": "2025-01-06T03:00:00+00:00",
        "open": 3,
        "high": 4,
        "low": 2.5,
        "close": 3.5,
        "volume": 2,
        "marketCap": 30,
        "source": "a",
        "isClosed": True,
    }


async def test_a_time_may_have_an_offset(hours: Client) -> None:
    found = await candles(hours, 'from: "2025-01-06T05:00:00+03:00", to: "2025-01-06T03:00:00Z"')
    assert [candle["openTime"] for candle in found] == ["2025-01-06T02:00:00+00:00"]


async def test_last_takes_the_newest_of_the_range(hours: Client) -> None:
    found = await candles(hours, 'last: 2, to: "2025-01-06T04:00:00Z"')
    assert [candle["open"] for candle in found] == [3, 4]


async def test_without_a_range_the_newest_500(database: Database, database_url: URL) -> None:
    await store(database, "HRS", "H1", [(MONDAY + timedelta(hours=n), float(n + 1), "a") for n in range(600)])
    async with serving(database_url) as client:
        found = await candles(client, "", fields="open")
        assert [candle["open"] for candle in found] == [float(n + 1) for n in range(100, 600)]
        assert len(await candles(client, "from: null, to: null, last: null", fields="open")) == 500
        assert len(await candles(client, 'from: "2025-01-06T00:00:00Z"', fields="open")) == 600


async def test_a_week_begins_on_monday(hours: Client) -> None:
    found = await candles(hours, "interval: W1, last: 10")
    assert [candle["openTime"][:10] for candle in found] == ["2025-01-06", "2025-01-13", "2025-01-20"]
    assert found[0]["open"] == 1
    assert found[0]["close"] == 24 * 7 + 0.5
    assert found[0]["volume"] == 2 * 24 * 7


async def test_a_bucket_is_built_from_all_its_stored_candles(hours: Client) -> None:
    """A range that begins or ends within a bucket takes it whole, or not at all."""
    found = await candles(hours, 'interval: D1, from: "2025-01-06T01:00:00Z", to: "2025-01-08T01:00:00Z"')
    assert [candle["openTime"][:10] for candle in found] == ["2025-01-07", "2025-01-08"]
    assert found[1]["volume"] == 48
    assert found[1]["close"] == 72.5


async def test_the_base_interval_may_be_named(hours: Client) -> None:
    assert await candles(hours, "interval: H1, last: 30") == await candles(hours, "last: 30")


async def test_sources_of_a_bucket(database: Database, database_url: URL) -> None:
    two = [(MONDAY, 1.0, "a"), (MONDAY + timedelta(hours=1), 2.0, "b"), (MONDAY + timedelta(hours=4), 3.0, "b")]
    await store(database, "HRS", "H1", two)
    async with serving(database_url) as client:
        found = await candles(client, "interval: H4, last: 5")
        assert [candle["source"] for candle in found] == ["mixed", "b"]
        assert found[0]["marketCap"] == 20


async def test_an_unfinished_candle_is_not_closed(database: Database, database_url: URL) -> None:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await store(database, "HRS", "H1", [(this_hour - timedelta(hours=1), 1.0, "a"), (this_hour, 2.0, "a")])
    async with serving(database_url) as client:
        assert [candle["isClosed"] for candle in await candles(client, "last: 2")] == [True, False]


async def test_relative_times(database: Database, database_url: URL) -> None:
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await store(database, "HRS", "H1", [(this_hour - timedelta(hours=n), float(n), "a") for n in range(1, 50)])
    async with serving(database_url) as client:
        assert [candle["open"] for candle in await candles(client, 'from: "now-3h"')] == [2, 1]
        assert len(await candles(client, 'from: "now-2d", to: "now"')) == 47


async def test_more_than_ten_thousand_are_rejected(database: Database, database_url: URL) -> None:
    minutes = [(MONDAY + timedelta(minutes=n), 1.0, "a") for n in range(10_001)]
    await store(database, "MIN", "M1", minutes)
    query = """query($to: DateTime) {
      cryptocurrency(symbol: "MIN") { candles(from: "2025-01-01T00:00:00Z", to: $to) { open } }
    }"""
    async with serving(database_url) as client:
        error = await client.error(query)
        assert error["extensions"]["code"] == "TOO_MANY_CANDLES"
        assert error["extensions"]["suggestedInterval"] == "M5"
        assert error["path"] == ["cryptocurrency", "candles"]
        assert len(await candles(client, 'from: "2025-01-01T00:00:00Z", interval: M5', "MIN", "open")) == 2001
        last = (MONDAY + timedelta(minutes=10_000)).isoformat()
        assert len((await client.data(query, to=last))["cryptocurrency"]["candles"]) == 10_000
        assert len(await candles(client, "last: 10000", "MIN", "open")) == 10_000


async def test_the_limit_is_exact_for_buckets_that_begin_before_their_first_candle(
    database: Database, database_url: URL
) -> None:
    fives = [(MONDAY + timedelta(minutes=4), 1.0, "a")]
    fives += [(MONDAY + timedelta(minutes=5 * n), 1.0, "a") for n in range(1, 10_001)]
    await store(database, "MIN", "M1", fives)
    async with serving(database_url) as client:
        arguments = 'interval: M5, from: "2025-01-01T00:00:00Z"'
        error = await client.error(f'{{ cryptocurrency(symbol: "MIN") {{ candles({arguments}) {{ open }} }} }}')
        assert error["extensions"]["code"] == "TOO_MANY_CANDLES"
        assert len(await candles(client, f'{arguments}, to: "2025-02-09T17:20:00Z"', "MIN", "open")) == 10_000


async def test_a_sum_that_no_float_can_hold(database: Database, database_url: URL) -> None:
    await store(database, "BIG", "H1", [(MONDAY + timedelta(hours=n), 1.0, "a") for n in range(2)])
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE market_data SET volume = 1.7e308"))
    async with serving(database_url) as client:
        error = await client.error('{ cryptocurrency(symbol: "BIG") { candles(interval: D1, last: 1) { volume } } }')
        assert error["extensions"]["code"] == "NUMBER_TOO_LARGE"


async def test_gaps_do_not_count(database: Database, database_url: URL) -> None:
    """A range is rejected for the candles that it holds, not for its width."""
    await store(database, "MIN", "M1", [(MONDAY, 1.0, "a"), (MONDAY + timedelta(days=100), 1.0, "a")])
    async with serving(database_url) as client:
        assert len(await candles(client, 'from: "2025-01-01T00:00:00Z"', "MIN", "open")) == 2


async def test_a_real_month_of_minutes(database: Database, database_url: URL, shared_data: Path) -> None:
    file = shared_data / "BTC-1m-2023-03.csv"
    await import_candles(database, file, symbol="BTC", interval="M1", source="real")
    async with serving(database_url) as client:
        for interval, length in LENGTHS.items():
            found = await candles(client, f'interval: {interval}, from: "2023-01-01T00:00:00Z"', "BTC")
            assert [plain(candle) for candle in found] == expected(file, length), interval


def plain(candle: dict[str, Any]) -> tuple[Any, ...]:
    volume = pytest.approx(candle["volume"], rel=1e-9)
    return (candle["openTime"], candle["open"], candle["high"], candle["low"], candle["close"], volume)


def expected(file: Path, length: timedelta) -> list[tuple[Any, ...]]:
    """The expected buckets, by plain arithmetic: rows grouped by the bucket that holds them."""
    buckets: dict[datetime, list[list[float]]] = {}
    with file.open() as lines:
        for row in list(csv.reader(lines))[1:]:
            at = datetime.fromisoformat(row[0])
            monday = datetime(1, 1, 1, tzinfo=UTC)
            buckets.setdefault(at - (at - monday) % length, []).append([float(value) for value in row[1:]])
    return [
        (
            at.isoformat(),
            rows[0][0],
            max(row[1] for row in rows),
            min(row[2] for row in rows),
            rows[-1][3],
            sum(row[4] for row in rows),
        )
        for at, rows in sorted(buckets.items())
    ]
