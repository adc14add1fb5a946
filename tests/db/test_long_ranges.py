"""Rows that queries for long ranges read: one per candle if a rollup has the requested interval."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL, Integer, Text, bindparam, case, cast, func, select
from sqlalchemy.dialects.postgresql import asyncpg

from db.engine import SERVER_SETTINGS
from db.models import Cryptocurrency
from db.queries import candles
from db.queries.listings import Span
from tests.conftest import TEMPLATE, create_database
from tests.db import scratch
from tests.db.scratch import Connection

# 731 days: one of the years is a leap year.
SINCE, UNTIL = datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
MINUTES = """
INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES
    ('A', '', 'M1'), ('B', '', 'M1'), ('C', '', 'M1'), ('D', '', 'M1'), ('H', '', 'H1'), ('Z', '', 'D1');
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
)
SELECT c.id, at, 1, 1, 1, 1, 1, 'test' FROM cryptocurrencies c, LATERAL generate_series(
    timestamptz '2022-06-01', timestamptz '2025-06-01',
    CASE symbol WHEN 'B' THEN interval '20 minutes' WHEN 'H' THEN interval '1 hour' ELSE interval '1 day' END
) at;
ANALYZE
"""


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    """Three years of several coins: B has three candles an hour."""

    async def prepare() -> URL:
        url = await create_database(postgres, "long_ranges", template=TEMPLATE)
        connection = await scratch.connect(url)
        await connection.execute(MINUTES)
        await connection.close()
        return url

    return asyncio.run(prepare())


@pytest.fixture
async def connection(url: URL) -> AsyncIterator[Connection]:
    connection = await scratch.connect(url)
    # The tables are so small that a sequential scan would cost less.
    await connection.execute("SET enable_seqscan = off")
    await connection.execute(f"SET random_page_cost = {SERVER_SETTINGS['random_page_cost']}")
    yield connection
    await connection.close()


def candle_statement(symbol: str, interval: str, *, span: Span | None = None, last: int | None = None) -> Any:
    """The statement for a coin's candles, with its values as parameters."""
    coin = Cryptocurrency.rows()
    count = None if last is None else bindparam(None, last, Integer)
    cases, otherwise = candles.between(coin.c, interval=interval, span=span, last=count)

    def shown(rows: Any) -> Any:
        found = rows.correlate(coin).subquery("candle")
        return select(func.json_agg(found.table_valued())).select_from(found).scalar_subquery()

    chosen = case(*((condition, shown(rows)) for condition, rows in cases), else_=shown(otherwise))
    return select(cast(chosen, Text)).where(coin.c.symbol == symbol)


async def answer(connection: Connection, statement: Any) -> tuple[int, dict[str, int]]:
    """How many candles it gives, and how many rows of each table it reads for that."""
    compiled = statement.compile(dialect=asyncpg.dialect())
    values = [compiled.params[name] for name in compiled.positiontup]
    rows = json.loads(await connection.fetchval(str(compiled), *values) or "[]")
    (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {compiled}", *values))
    read: dict[str, int] = {}
    _count(plan["Plan"], read)
    read.pop("cryptocurrencies")
    return len(rows), {table: count for table, count in read.items() if count}


def _count(node: dict[str, Any], read: dict[str, int]) -> None:
    """Add up the rows that the plan's scans read, including those that a filter removed."""
    if "Relation Name" in node:
        rows_read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        read[node["Relation Name"]] = read.get(node["Relation Name"], 0) + round(rows_read * node["Actual Loops"])
    for inner in node.get("Plans", []):
        _count(inner, read)


@pytest.mark.parametrize(
    ("symbol", "interval", "count", "read"),
    [
        ("B", "D1", 731, {"candle_rollups_d1": 731}),
        ("B", "W1", 105, {"candle_rollups_d1": 735}),
        ("B", "H4", 731 * 6, {"candle_rollups_h1": 731 * 24}),
        ("H", "D1", 731, {"candle_rollups_d1": 731}),
        ("Z", "D1", 731, {"market_data": 731}),
        ("Z", "W1", 105, {"market_data": 735}),
    ],
)
async def test_a_range_of_two_years(
    connection: Connection, symbol: str, interval: str, count: int, read: dict[str, int]
) -> None:
    assert await answer(connection, candle_statement(symbol, interval, span=Span(SINCE, UNTIL))) == (count, read)


async def test_an_open_range_takes_two_more_index_lookups(connection: Connection) -> None:
    """They find the first and the last stored candle, which give the width of the range."""
    count, read = await answer(connection, candle_statement("B", "D1", span=Span(SINCE)))
    assert read == {"candle_rollups_d1": count, "market_data": 2}


@pytest.mark.parametrize(
    ("interval", "read"),
    [
        ("M1", {"market_data": 30}),
        ("M5", {"market_data": 30 * 5}),
        ("M30", {"market_data": 30 * 30}),
        ("H1", {"candle_rollups_h1": 30}),
        ("H4", {"candle_rollups_h1": 30 * 4}),
        ("D1", {"candle_rollups_d1": 30}),
        ("W1", {"candle_rollups_d1": 30 * 7}),
    ],
)
async def test_the_newest_candles(connection: Connection, interval: str, read: dict[str, int]) -> None:
    assert await answer(connection, candle_statement("B", interval, last=30)) == (30, read)
    assert await answer(connection, candle_statement("B", interval, span=Span(None, UNTIL), last=30)) == (30, read)


async def test_the_newest_candles_of_a_series_with_gaps(connection: Connection) -> None:
    """One candle a day: the newest 30 weeks hold 210 of them, the newest 30 half hours only 30."""
    assert await answer(connection, candle_statement("A", "M30", last=30)) == (30, {"market_data": 30 * 30})
    assert await answer(connection, candle_statement("A", "H4", last=30)) == (30, {"candle_rollups_h1": 30 * 4})


async def test_counting_stops_once_there_are_too_many(connection: Connection) -> None:
    """More than 10,000 candles are rejected; a range of 10,000 hours is accepted by its width, without counting."""
    with pytest.raises(scratch.asyncpg.PostgresError, match="more than 10,000 candles"):
        await answer(connection, candle_statement("B", "H1", span=Span(SINCE - timedelta(days=300))))
    narrow = await answer(connection, candle_statement("B", "H1", span=Span(SINCE, SINCE + timedelta(hours=10_000))))
    assert narrow == (10_000, {"candle_rollups_h1": 10_000})
