"""Settling predictions: storing the actual price at the target time, and the error of the prediction."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.intervals import INTERVALS

# Within these prices, the error in percent fits a double.
SMALLEST_PRICE = 1e-150
LARGEST_PRICE = 1e150
# Key of the advisory lock. One run at a time: a second one waits, then finds nothing left to write.
_LOCK = 0x5E771E
# A candle's created_at is the time of its statement, but it becomes visible when its transaction commits. No
# transaction takes an hour, so candles recorded this long before the newest settling have been processed.
_COMMIT_DELAY = timedelta(hours=1)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


async def settle(connection: AsyncConnection, *, everything: bool = False, for_request: bool = False) -> int:
    """Fill in the actual price and the error of predictions whose target has passed; return how many were written.

    The actual price is the close of the last base candle that had closed by the target time, unless that was more than
    one base interval earlier. Processed are the unsettled predictions and those affected by a recently recorded candle,
    which arrived late or changed; with everything, those affected by any candle. A settled prediction may get another
    price, but never becomes unsettled again.

    for_request: keep the timeouts of a client's request instead of the longer ones of a background run.

    The connection must be in a READ COMMITTED transaction, as Database.transaction() yields: the lock is held until its
    end.
    """
    if for_request:
        await connection.execute(text("SELECT set_config('plan_cache_mode', 'auto', true)"))
    else:
        await allow_time(connection)
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    recorded_since = _LONG_AGO if everything else await _newest_settling(connection) - _COMMIT_DELAY
    written: CursorResult[tuple[()]] = await connection.execute(
        _SETTLE,
        {
            "recorded_since": recorded_since,
            "interval_names": list(INTERVALS),
            "interval_lengths": list(INTERVALS.values()),
            "smallest": SMALLEST_PRICE,
            "largest": LARGEST_PRICE,
        },
    )
    return written.rowcount


async def allow_time(connection: AsyncConnection) -> None:
    """Raise the timeouts for statements and locks until the end of this transaction, and allow custom plans."""
    await connection.execute(
        text("""
            SELECT set_config('statement_timeout', '10min', true), set_config('lock_timeout', '1min', true),
                set_config('plan_cache_mode', 'auto', true)
        """)
    )


async def _newest_settling(connection: AsyncConnection) -> datetime:
    """The newest settled_at; now if no prediction is settled, because then no candle can affect a settled one."""
    newest = await connection.execute(text("SELECT coalesce(max(settled_at), now()) FROM predictions"))
    found: datetime = newest.scalar_one()
    return found


# A candle that opens at t settles targets from its close, t + length, to t + 2 * length. The affected targets are
# merged into one range per coin and day, which bounds the memory of a run after a large import. Ranges may overlap, so
# a candidate may occur twice; UPDATE ignores the second, and removing it would cost more.
#
# OFFSET 0 keeps the planner from replacing the index scan for each range with one scan of all predictions.
#
# The price limits keep the percentage within a double. Beyond them PostgreSQL raises an error, and a single such row
# would stop all settling. They also exclude a close of 0, for which a percentage is undefined.
_SETTLE = text("""
WITH coins AS (
    SELECT c.id, i.length
    FROM cryptocurrencies c
    JOIN unnest(CAST(:interval_names AS text[]), CAST(:interval_lengths AS interval[])) AS i (name, length)
        ON i.name = c.base_interval
), touched AS (
    SELECT c.id, min(m.timestamp) + c.length AS first_target, max(m.timestamp) + 2 * c.length AS last_target
    FROM coins c
    JOIN market_data m ON m.cryptocurrency_id = c.id AND m.created_at >= :recorded_since
    GROUP BY c.id, c.length, date_trunc('day', m.timestamp)
), candidates AS (
    SELECT p.id, p.cryptocurrency_id, p.target_timestamp, p.predicted_price, p.actual_price
    FROM predictions p
    WHERE p.actual_price IS NULL AND p.target_timestamp <= now()
    UNION ALL
    SELECT p.id, p.cryptocurrency_id, p.target_timestamp, p.predicted_price, p.actual_price
    FROM touched t
    CROSS JOIN LATERAL (
        SELECT *
        FROM predictions p
        WHERE p.cryptocurrency_id = t.id
          AND p.target_timestamp BETWEEN t.first_target AND t.last_target
          AND p.actual_price IS NOT NULL
        OFFSET 0
    ) p
), actuals AS (
    SELECT p.id, m.close_price AS price
    FROM candidates p
    JOIN coins c ON c.id = p.cryptocurrency_id
    CROSS JOIN LATERAL (
        SELECT m.close_price
        FROM market_data m
        WHERE m.cryptocurrency_id = p.cryptocurrency_id
          AND m.timestamp BETWEEN p.target_timestamp - 2 * c.length AND p.target_timestamp - c.length
        ORDER BY m.timestamp DESC
        LIMIT 1
    ) m
    WHERE m.close_price IS DISTINCT FROM p.actual_price
      AND m.close_price BETWEEN :smallest AND :largest
      AND p.predicted_price <= :largest
)
UPDATE predictions p
SET actual_price = a.price, error = 100 * (p.predicted_price - a.price) / a.price, settled_at = now()
FROM actuals a
WHERE p.id = a.id
""")
