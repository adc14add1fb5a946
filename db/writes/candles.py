"""Writes of candles: insert new ones, update those that differ."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import select, text

from db.candle_csv import CandleRow, price_inconsistency
from db.engine import Connection
from db.intervals import INTERVALS, opens_on_grid
from db.models import Cryptocurrency
from db.settle import settle
from db.writes import cryptocurrencies
from db.writes.validation import (
    MAX_FIELD_ERRORS,
    FieldError,
    ValidationError,
    price_error,
    raise_field_errors,
    text_error,
    time_error,
    validation_error,
)

MAX_CANDLES = 10_000
MAX_SOURCE = 50


class Recorded(NamedTuple):
    """Result of record(): numbers of candles, and of predictions that were settled."""

    cryptocurrency_id: int
    inserted: int
    updated: int
    unchanged: int
    settled: int


async def record(
    connection: Connection, *, symbol: str, interval: str | None, source: str, candles: Sequence[CandleRow]
) -> Recorded:
    """Write the candles of a coin, all or none, and settle the affected predictions. Raises ValidationError."""
    raise_field_errors(text_error("source", source, MAX_SOURCE))
    if not 1 <= len(candles) <= MAX_CANDLES:
        raise validation_error(
            "TOO_MANY_CANDLES", "candles", f"1 to {MAX_CANDLES:,} candles at a time, not {len(candles):,}."
        )
    coin = await cryptocurrencies.by_symbol(connection, symbol)
    if interval is not None and interval != coin.base_interval:
        message = f"{coin.symbol} has {coin.base_interval} candles: one series holds one interval."
        raise validation_error("WRONG_INTERVAL", "interval", message)
    errors = _errors(candles, coin.base_interval, datetime.now(UTC))
    if first := next(errors, None):
        raise ValidationError(first, *islice(errors, MAX_FIELD_ERRORS - 1))
    # One writer at a time for each series. NO KEY: concurrent inserts of rows that reference the coin are not blocked.
    lock = select(Cryptocurrency.id).where(Cryptocurrency.id == coin.id).with_for_update(key_share=True)
    await connection.execute(lock)
    values = {name: list(column) for name, column in zip(CandleRow._fields, zip(*candles, strict=True), strict=True)}
    counts = await connection.execute(_MERGE_VALUES, {"cryptocurrency_id": coin.id, "source": source, **values})
    inserted, updated = counts.one()
    settled = await settle(connection, for_request=True)
    return Recorded(coin.id, inserted, updated, len(candles) - inserted - updated, settled)


def _errors(candles: Sequence[CandleRow], interval: str, now: datetime) -> Iterator[FieldError]:
    seen: set[datetime] = set()
    for number, candle in enumerate(candles):
        for name, message in _candle_errors(candle, interval, now):
            yield FieldError("INVALID_CANDLE", ("candles", str(number), name), message)
        if candle.open_time in seen:
            yield FieldError(
                "INVALID_CANDLE", ("candles", str(number), "open_time"), "This open time occurs more than once."
            )
        seen.add(candle.open_time)


def _candle_errors(candle: CandleRow, interval: str, now: datetime) -> Iterator[tuple[str, str]]:
    if not opens_on_grid(candle.open_time, INTERVALS[interval]):
        yield "open_time", f"No {interval} candle opens at {candle.open_time.isoformat()}."
    if error := time_error("open_time", candle.open_time):
        yield "open_time", error.message
    if candle.open_time > now:
        yield "open_time", "This is in the future."
    for name in ("open", "high", "low", "close", "volume", "market_cap"):
        if error := price_error(name, getattr(candle, name)):
            yield name, error.message
            return
    if inconsistency := price_inconsistency(candle.open, candle.high, candle.low, candle.close):
        name, message = inconsistency
        yield name, f"{message[0].upper()}{message[1:]}."


def merge(rows: str) -> Any:
    """The statement that writes candles from these rows. It returns the numbers of inserted and of updated candles.

    A candle without a market cap keeps the stored one. created_at is the time of this statement rather than of the
    transaction: reading a large file takes a while, and settling looks for recently recorded candles. An updated row
    was locked by this transaction before, so its xmax is set; PostgreSQL 18 could return OLD instead.
    """
    return text(_MERGE.format(rows=rows))


_MERGE = """
WITH merged AS (
    INSERT INTO market_data AS stored (
        cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, market_cap,
        data_source, created_at
    )
    SELECT CAST(:cryptocurrency_id AS bigint), open_time, open, high, low, close, volume, market_cap,
        CAST(:source AS text), statement_timestamp()
    FROM {rows}
    ORDER BY open_time
    ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET
        open_price = excluded.open_price,
        high_price = excluded.high_price,
        low_price = excluded.low_price,
        close_price = excluded.close_price,
        volume = excluded.volume,
        market_cap = coalesce(excluded.market_cap, stored.market_cap),
        data_source = excluded.data_source,
        created_at = excluded.created_at
    WHERE (stored.open_price, stored.high_price, stored.low_price, stored.close_price, stored.volume,
           stored.market_cap, stored.data_source)
        IS DISTINCT FROM
          (excluded.open_price, excluded.high_price, excluded.low_price, excluded.close_price, excluded.volume,
           coalesce(excluded.market_cap, stored.market_cap), excluded.data_source)
    RETURNING xmax = 0 AS inserted
)
SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged
"""
_MERGE_VALUES = merge(
    "unnest(CAST(:open_time AS timestamptz[]), "
    + ", ".join(f"CAST(:{name} AS float8[])" for name in CandleRow._fields[1:])
    + f") AS incoming ({', '.join(CandleRow._fields)})"
)
