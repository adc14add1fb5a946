"""Rollups from scratch: plain Python over the stored candles, knowing nothing of our statements."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeAlias

import asyncpg
from sqlalchemy import URL

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LENGTHS = {"M1": MINUTE, "M15": 15 * MINUTE, "H1": HOUR, "H4": 4 * HOUR, "D1": DAY, "W1": 7 * DAY}
COLUMNS = (
    "cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, market_cap, data_source"
)
SETTINGS = {"timezone": "UTC", "lock_timeout": "20s", "deadlock_timeout": "100ms"}
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


async def rows(connection: Connection, table: str) -> list[Row]:
    return [Row(*row) for row in await connection.fetch(f"SELECT {COLUMNS} FROM {table} ORDER BY 1, 2")]


async def assert_exact(connection: Connection) -> None:
    """Every rollup is what its candles give, to the last digit, and there is no other."""
    lengths = {
        row["id"]: LENGTHS[row["base_interval"]]
        for row in await connection.fetch("SELECT id, base_interval FROM cryptocurrencies")
    }
    candles = await rows(connection, "market_data")
    hours = put_together(candles, HOUR, lambda row: lengths[row.coin] < HOUR)
    hourly = put_together(candles, DAY, lambda row: HOUR <= lengths[row.coin] < DAY)
    days = sorted(hourly + put_together(hours, DAY, lambda _: True))
    assert await rows(connection, "candle_rollups_h1") == hours
    assert await rows(connection, "candle_rollups_d1") == days


def put_together(parts: Iterable[Row], length: timedelta, wanted: Callable[[Row], bool]) -> list[Row]:
    """Longer candles from parts that come in the order of time."""
    within: dict[tuple[int, datetime], list[Row]] = {}
    for part in filter(wanted, parts):
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
