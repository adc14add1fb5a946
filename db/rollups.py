"""Checks of rollups against the candles that they are computed from, and their rebuild.

Triggers keep rollups exact (migration 0002, docs/decisions/0007), unless they are disabled, as by
pg_restore --disable-triggers.
"""

from sqlalchemy import text

from db.changes import announce_all
from db.engine import Database
from db.settle import allow_time

_VALUES = "open_price, high_price, low_price, close_price, volume, market_cap, data_source"
_BUILT = """
    (array_agg(open_price ORDER BY timestamp))[1] AS open_price, max(high_price) AS high_price,
    min(low_price) AS low_price, (array_agg(close_price ORDER BY timestamp))[count(*)] AS close_price,
    candlegraph_sum(volume ORDER BY timestamp) AS volume,
    (array_agg(market_cap ORDER BY timestamp))[count(*)] AS market_cap,
    CASE WHEN min(data_source) = max(data_source) THEN min(data_source) ELSE 'mixed' END AS data_source
"""
_HOURS = f"""
    SELECT cryptocurrency_id, date_bin('1 hour', timestamp, timestamptz '0001-01-01 00:00:00+00') AS bucket, {_BUILT}
    FROM market_data m JOIN cryptocurrencies c ON c.id = m.cryptocurrency_id
    WHERE c.base_length < interval '1 hour' GROUP BY 1, 2
"""  # noqa: S608 - our own names
_DAYS = f"""
    SELECT cryptocurrency_id, date_bin('1 day', timestamp, timestamptz '0001-01-01 00:00:00+00') AS bucket, {_BUILT}
    FROM (
        SELECT cryptocurrency_id, bucket AS timestamp, {_VALUES} FROM ({_HOURS}) AS hours
        UNION ALL
        SELECT cryptocurrency_id, timestamp, {_VALUES}
        FROM market_data m JOIN cryptocurrencies c ON c.id = m.cryptocurrency_id
        WHERE c.base_length >= interval '1 hour' AND c.base_length < interval '1 day'
    ) AS parts GROUP BY 1, 2
"""  # noqa: S608 - our own names


def _different(rollups: str, built: str) -> str:
    """A query that counts rollups which are missing, superfluous or different from their candles."""
    of_built, of_rollup = (", ".join(f"{row}.{value}" for value in _VALUES.split(", ")) for row in "br")
    return f"""
        SELECT count(*) FROM ({built}) AS b FULL JOIN {rollups} AS r
            ON r.cryptocurrency_id = b.cryptocurrency_id AND r.timestamp = b.bucket
        WHERE ({of_built}) IS DISTINCT FROM ({of_rollup})
    """  # noqa: S608 - our own names


CHECKS = {
    "the triggers that maintain rollups exist and are enabled": """
        SELECT count(*) FROM unnest(
            ARRAY['market_data', 'market_data', 'market_data', 'market_data', 'cryptocurrencies'],
            ARRAY['inserts', 'updates', 'deletes', 'truncation', 'base_interval']
        ) AS expected (relation, event)
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = relation::regclass AND tgname = 'candlegraph_follow_' || event AND tgenabled IN ('O', 'A')
        )""",
    "every hour is the rollup of its candles": _different("candle_rollups_h1", _HOURS),
    "every day is the rollup of its candles": _different("candle_rollups_d1", _DAYS),
}


async def rebuild(database: Database) -> int:
    """Rebuild all rollups, and return the number of coins. Concurrent writes of candles wait."""
    async with database.transaction() as connection:
        await allow_time(connection)
        coins = await connection.execute(text("SELECT candlegraph_rebuild_rollups(id) FROM cryptocurrencies"))
        await announce_all(connection)
        return len(coins.all())
