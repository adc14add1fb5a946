"""Generates the demo data and copies it into an empty database."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.demo import alerts, candles, coins, models, predictions, sentiment, signals, strategies, trades
from db.demo.period import Period
from db.engine import Database
from db.models import Alert, Cryptocurrency, Model, User

# Called with a table, the number of rows copied so far, and the number of all rows.
Progress = Callable[[str, int, int], None]

# Advisory lock: several processes may start together, and one loads. The key differs from that of the migrations.
_LOCK = 0xDE30
# Waiting for the load of another process, and loading to a slow disk, take longer than the timeouts of queries.
_LONGER_TIMEOUTS = (
    "SELECT set_config(name, '60s', true) FROM (VALUES ('statement_timeout'), ('lock_timeout')) AS t(name)"
)


async def load(database: Database, now: datetime, progress: Progress | None = None) -> dict[str, int]:
    """Load the demo data that ends now, in one transaction, and return the rows of each table.

    Returns {} and changes nothing unless the database is empty. Raises ValueError when now has no offset.
    """
    period = Period.until(now)
    async with database.transaction() as connection:
        # The transaction begins with the first statement through SQLAlchemy; COPY bypasses it and would not begin one.
        await connection.execute(text(_LONGER_TIMEOUTS))
        await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        if not await _is_empty(connection):
            return {}
        tables = generate(period)
        await _copy(connection, tables, progress or _no_progress)
        # Without statistics, the planner assumes empty tables until autovacuum runs.
        await connection.execute(text(f"ANALYZE {', '.join(tables)}"))
    return {table: len(rows) for table, rows in tables.items()}


def generate(period: Period) -> dict[str, Sequence[NamedTuple]]:
    """The rows of each table, parents first. A row's fields are named like its columns; the first is its identity."""
    paths = candles.simulate(period)
    predicted = predictions.predict(period, paths)
    signalled = signals.decide(period, predicted)
    traded = trades.follow(period, signalled)
    return {
        "cryptocurrencies": coins.rows(period),
        "market_data": candles.rows(period, paths),
        "models": [models.row(model, period, predictions.outcomes(predicted, model)) for model in models.MODELS],
        "predictions": [prediction.row for prediction in predicted],
        "users": strategies.user_rows(period),
        "trading_strategies": strategies.rows(period),
        "signals": [signal.row for signal in signalled],
        "trades": [trade.row for trade in traded],
        "sentiment_data": sentiment.rows(period, paths),
        "alerts": alerts.rows(period, signalled, traded),
    }


async def _is_empty(connection: AsyncConnection) -> bool:
    """Whether there are no rows that could collide with the demo data: all other rows refer to one of these tables."""
    taken = or_(*(exists(select(entity.id)) for entity in (Cryptocurrency, Model, User, Alert)))
    return not (await connection.execute(select(taken))).scalar_one()


async def _copy(connection: AsyncConnection, tables: dict[str, Sequence[NamedTuple]], progress: Progress) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    done, total = 0, sum(map(len, tables.values()))
    for table, rows in tables.items():
        progress(table, done, total)
        columns = rows[0]._fields
        await driver.copy_records_to_table(table, records=rows, columns=columns)
        # The rows have fixed identities, the same in every database. The sequence continues after them.
        await connection.execute(select(func.setval(func.pg_get_serial_sequence(table, columns[0]), len(rows))))
        done += len(rows)
        progress(table, done, total)


def _no_progress(_table: str, _done: int, _total: int) -> None:
    pass
