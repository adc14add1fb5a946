"""Maintenance of the database: size of its tables, checks of its rows, and removal of old ones."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from db import migrate, rollups, table_checks
from db.engine import Database
from db.models import Base
from db.settle import allow_time

SESSIONS_KEPT = timedelta(days=30)
IDEMPOTENCY_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class TableStats:
    table: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Check:
    """A condition, and how many rows or objects violate it."""

    condition: str
    violations: int


@dataclass(frozen=True)
class Cleaned:
    """Numbers of rows older than the retention, deleted or only counted."""

    candles: int
    sentiment: int
    sessions: int
    idempotency_keys: int


async def stats(database: Database) -> list[TableStats]:
    """Rows and bytes of every table."""
    async with database.transaction() as connection:
        await allow_time(connection)
        found = []
        for table in Base.metadata.sorted_tables:
            row = await connection.execute(
                text(f"SELECT count(*), pg_total_relation_size('{table.name}') FROM {table.name}")  # noqa: S608 - our own names
            )
            rows, size = row.one()
            found.append(TableStats(table.name, rows, size))
    return found


async def verify(database: Database) -> list[Check]:
    """Check conditions that constraints of single rows cannot express."""
    checks = [Check("the newest migration has run", int(await migrate.current(database) != migrate.head()))]
    async with database.transaction() as connection:
        await allow_time(connection)
        derived = table_checks.checks(Base.metadata.sorted_tables)
        for condition, query in {**_CHECKS, **rollups.CHECKS, **derived}.items():
            violations = await connection.execute(text(query))
            checks.append(Check(condition, violations.scalar_one()))
    return checks


async def clean(database: Database, *, candles: timedelta, sentiment: timedelta, dry_run: bool) -> Cleaned:
    """Delete candles and sentiment older than this, or only count them. Settled predictions keep their price.

    Deletes sessions that ended more than SESSIONS_KEPT ago, and idempotency keys older than IDEMPOTENCY_KEPT.
    """
    ages = (candles, sentiment, SESSIONS_KEPT, IDEMPOTENCY_KEPT)
    async with database.transaction() as connection:
        await allow_time(connection)
        counts = []
        for (table, since), age in zip(_RETAINED.items(), ages, strict=True):
            old = f"FROM {table} WHERE {since} < now() - CAST(:age AS interval)"
            if dry_run:
                counted = await connection.execute(text(f"SELECT count(*) {old}"), {"age": age})
                counts.append(counted.scalar_one())
            else:
                counts.append((await connection.execute(text(f"DELETE {old}"), {"age": age})).rowcount)
    return Cleaned(*counts)


async def reset(database: Database) -> None:
    """Empty the database, and create the tables again."""
    await migrate.downgrade(database)
    await migrate.upgrade(database)


# When the retention of a row begins. least() ignores nulls.
_RETAINED = {
    "market_data": "timestamp",
    "sentiment_data": "timestamp",
    "sessions": "least(expires_at, revoked_at)",
    "idempotency_keys": "created_at",
}

_CHECKS = {
    "every candle opens at a boundary of its coin's interval": """
        SELECT count(*) FROM market_data m JOIN cryptocurrencies c ON c.id = m.cryptocurrency_id
        WHERE date_bin(c.base_length, m.timestamp, timestamptz '0001-01-01 00:00:00+00') <> m.timestamp""",
    "no candle opens in the future": "SELECT count(*) FROM market_data WHERE timestamp > now()",
    "settled errors follow from their prices": """
        SELECT count(*) FROM predictions
        WHERE abs(error - 100 * (predicted_price - actual_price) / actual_price) > 1e-6 * greatest(1, abs(error))""",
    "signals are about the coin of their prediction": """
        SELECT count(*) FROM signals s JOIN predictions p ON p.id = s.prediction_id
        WHERE s.cryptocurrency_id <> p.cryptocurrency_id""",
    "trades are in the coin of their signal": """
        SELECT count(*) FROM trades t JOIN signals s ON s.signal_id = t.signal_id
        WHERE t.cryptocurrency_id <> s.cryptocurrency_id""",
    "no disabled user has a session": """
        SELECT count(*) FROM sessions s JOIN users u ON u.user_id = s.user_id
        WHERE NOT u.is_active AND s.revoked_at IS NULL AND s.expires_at > now()""",
    "signals belong to the user of their strategy": """
        SELECT count(*) FROM signals s JOIN trading_strategies t ON t.strategy_id = s.strategy_id
        WHERE s.user_id IS DISTINCT FROM t.user_id""",
    "trades belong to the user of their signal": """
        SELECT count(*) FROM trades t JOIN signals s ON s.signal_id = t.signal_id
        WHERE s.user_id IS NOT NULL AND t.user_id IS DISTINCT FROM s.user_id""",
}
