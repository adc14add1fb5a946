"""Rollups from scratch, by plain Python over the stored candles, and connections of asyncpg for tests."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeAlias

import asyncpg
from sqlalchemy import URL

from tests.waiting import eventually

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LENGTHS = {"M1": MINUTE, "M15": 15 * MINUTE, "H1": HOUR, "H4": 4 * HOUR, "D1": DAY, "W1": 7 * DAY}
COLUMNS = (
    "cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, market_cap, data_source"
)
SETTINGS = {"timezone": "UTC", "lock_timeout": "20s", "deadlock_timeout": "100ms"}
IS_BLOCKED = "SELECT cardinality(pg_blocking_pids($1)) > 0"
Connection: TypeAlias = Any


class Row(NamedTuple):
    coin: int
    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    market_cap: float | None
    source: str


async def connect(url: URL) -> Connection:
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return await asyncpg.connect(dsn, server_settings=SETTINGS)


async def until_blocked(connection: Connection, observer: Connection) -> None:
    """Wait until the statement of a connection waits for a lock. observer: executes nothing meanwhile."""
    await eventually(lambda: observer.fetchval(IS_BLOCKED, connection.get_server_pid()))


async def rows(connection: Connection, table: str) -> list[Row]:
    return [Row(*row) for row in await connection.fetch(f"SELECT {COLUMNS} FROM {table} ORDER BY 1, 2")]


async def assert_exact(connection: Connection) -> None:
    """Every rollup equals that of its candles to the last digit, and there are no others."""
    lengths = {
        row["id"]: LENGTHS[row["base_interval"]]
        for row in await connection.fetch("SELECT id, base_interval FROM cryptocurrencies")
    }
    candles = await rows(connection, "market_data")
    hours = aggregated(candles, HOUR, lambda row: lengths[row.coin] < HOUR)
    hourly = aggregated(candles, DAY, lambda row: HOUR <= lengths[row.coin] < DAY)
    days = sorted(hourly + aggregated(hours, DAY, lambda _: True))
    assert await rows(connection, "candle_rollups_h1") == hours
    assert await rows(connection, "candle_rollups_d1") == days


def aggregated(parts: Iterable[Row], length: timedelta, is_used: Callable[[Row], bool]) -> list[Row]:
    """Candles of this length from shorter ones, which are ordered by time."""
    within: dict[tuple[int, datetime], list[Row]] = {}
    for part in filter(is_used, parts):
        opened = part.at - (part.at - datetime(2024, 1, 1, tzinfo=UTC)) % length
        within.setdefault((part.coin, opened), []).append(part)
    return [_one(coin, opened, found) for (coin, opened), found in sorted(within.items(), key=lambda item: item[0])]


def _one(coin: int, opened: datetime, parts: list[Row]) -> Row:
    sources = {part.source for part in parts}
    return Row(
        coin,
        opened,
        parts[0].open,
        max(part.high for part in parts),
        min(part.low for part in parts),
        parts[-1].close,
        reduce(add, (part.volume for part in parts)),
        parts[-1].market_cap,
        sources.pop() if len(sources) == 1 else "mixed",
    )
