"""Import of a CSV file of candles, in one transaction.

ImportRejected   an argument, or the file as a whole, is invalid
└── BadRows      rows of the file are invalid; carries the report
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from db.candle_csv import CandleFileError, CandleRow, RejectedRow, read_candles
from db.engine import Database
from db.errors import DatabaseUnavailable, StatementTimeout, translate
from db.intervals import INTERVALS
from db.settle import allow_time, settle
from db.writes.candles import MAX_SOURCE, merge
from db.writes.cryptocurrencies import MAX_NAME, SYMBOL

BATCH_ROWS = 10_000
MAX_REPORTED_ROWS = 100


@dataclass
class ImportReport:
    """Numbers of rows by result. rejected counts all invalid rows; rejected_rows holds the first MAX_REPORTED_ROWS."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejected_rows: list[RejectedRow] = field(default_factory=list)
    settled: int = 0

    def add_rejected(self, rows: list[RejectedRow]) -> None:
        self.rejected += len(rows)
        self.rejected_rows += rows[: MAX_REPORTED_ROWS - len(self.rejected_rows)]


class ImportRejected(Exception):
    """Nothing was imported. The message is for the user."""


class BadRows(ImportRejected):
    """Rows are invalid, so nothing was imported. The report lists them with reasons."""

    def __init__(self, report: ImportReport) -> None:
        count = f"{report.rejected:,} {'row is' if report.rejected == 1 else 'rows are'}"
        super().__init__(f"{count} not valid, so nothing was imported.")
        self.report = report


@dataclass(frozen=True)
class _Series:
    """The validated arguments: which series the candles belong to."""

    symbol: str
    interval: str
    name: str
    source: str


async def import_candles(
    database: Database,
    path: Path,
    *,
    symbol: str,
    interval: str,
    name: str | None = None,
    source: str = "csv",
    skip_bad_rows: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Insert the candles of a CSV file or update those that differ, then settle the affected predictions.

    The cryptocurrency is created if it is missing; name is used only then. progress is called with the bytes read and
    the size of the file. Raises ImportRejected or a db.errors.DatabaseError; then nothing has changed.
    """
    series = _validated(symbol.strip(), interval, name, source)
    try:
        with _open(path) as file:
            async with database.transaction() as connection:
                return await _Import(connection, series, file, skip_bad_rows, progress).run()
    except CandleFileError as error:
        raise ImportRejected(str(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise translate(error) from error


def _validated(symbol: str, interval: str, name: str | None, source: str) -> _Series:
    if not SYMBOL.fullmatch(symbol):
        raise ImportRejected(f"{symbol!r} is not a symbol: 1 to 20 letters, digits, dots, hyphens or underscores.")
    if interval not in INTERVALS:
        raise ImportRejected(f"{interval!r} is not an interval: use one of {', '.join(INTERVALS)}.")
    series = _Series(symbol.upper(), interval, name or symbol.upper(), source)
    for what, value, longest in (("name", series.name, MAX_NAME), ("source", source, MAX_SOURCE)):
        if not (value.strip() and len(value) <= longest and value.isprintable()):
            raise ImportRejected(f"{value!r} is not a {what}: 1 to {longest} printable characters.")
    return series


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    if path.exists() and not path.is_file():
        raise ImportRejected(f"{path} is not a file.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportRejected(f"{path} cannot be read: {error.strerror}.") from error
    with file:
        yield file


@dataclass
class _Import:
    """One import, inside its transaction."""

    connection: AsyncConnection
    series: _Series
    file: BinaryIO
    skip_bad_rows: bool
    progress: Callable[[int, int], None] | None
    report: ImportReport = field(default_factory=ImportReport)

    async def run(self) -> ImportReport:
        await allow_time(self.connection)
        cryptocurrency_id = await self._lock_series()
        await self.connection.execute(_CREATE_INCOMING)
        copied = await self._copy_rows()
        if self.report.rejected and not (self.skip_bad_rows and copied):
            raise BadRows(self.report)
        await self._merge(cryptocurrency_id, copied)
        self.report.settled = await settle(self.connection)
        return self.report

    async def _lock_series(self) -> int:
        """The id of the cryptocurrency, created if it is missing. One import at a time writes to a series."""
        series = {"symbol": self.series.symbol, "name": self.series.name, "interval": self.series.interval}
        await self.connection.execute(_ENSURE_SERIES, series)
        found = await self.connection.execute(_LOCK_SERIES, {"symbol": self.series.symbol})
        cryptocurrency_id: int
        cryptocurrency_id, base_interval = found.one()
        if base_interval != self.series.interval:
            raise ImportRejected(
                f"{self.series.symbol} has {base_interval} candles, and these are {self.series.interval}:"
                " one series holds one interval. Import them under another symbol."
            )
        return cryptocurrency_id

    async def _copy_rows(self) -> int:
        """Copy the candles into the temporary table; return how many. After a fatal row, the rest is only checked."""
        rows = read_candles(self.file, self.series.interval, now=datetime.now(UTC))
        size = os.fstat(self.file.fileno()).st_size
        copied = 0
        # In a thread: reading and checking a batch would block the event loop for a tenth of a second.
        while batch := await asyncio.to_thread(list, islice(rows, BATCH_ROWS)):
            self.report.add_rejected([row for row in batch if isinstance(row, RejectedRow)])
            if self.skip_bad_rows or not self.report.rejected:
                candles = [row for row in batch if isinstance(row, CandleRow)]
                await _copy(self.connection, candles)
                copied += len(candles)
            if self.progress:
                self.progress(self.file.tell(), size)
        return copied

    async def _merge(self, cryptocurrency_id: int, copied: int) -> None:
        parameters = {"cryptocurrency_id": cryptocurrency_id, "source": self.series.source}
        counts = await self.connection.execute(_MERGE, parameters)
        self.report.inserted, self.report.updated = counts.one()
        self.report.unchanged = copied - self.report.inserted - self.report.updated


async def _copy(connection: AsyncConnection, candles: list[CandleRow]) -> None:
    """COPY, by the driver: SQLAlchemy neither supports it nor translates its errors."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table("incoming_candles", records=candles, columns=CandleRow._fields)
    except BaseException as error:
        # During a COPY the driver cannot always roll back, and SQLAlchemy would return the connection to the pool
        # inside its transaction. When the connection is closed, the server rolls back.
        await connection.invalidate()
        match error:
            case asyncpg.QueryCanceledError():
                raise StatementTimeout("The statement took too long and was cancelled.") from error
            case OSError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
                raise DatabaseUnavailable("The connection to the database was lost.") from error
            case asyncpg.OperatorInterventionError() | asyncpg.PostgresConnectionError():
                raise DatabaseUnavailable("The connection to the database was lost.") from error
        raise


_ENSURE_SERIES = text("""
INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES (:symbol, :name, :interval)
ON CONFLICT (symbol) DO NOTHING
""")

# NO KEY: concurrent inserts of rows that reference the cryptocurrency are not blocked.
_LOCK_SERIES = text("SELECT id, base_interval FROM cryptocurrencies WHERE symbol = :symbol FOR NO KEY UPDATE")

_CREATE_INCOMING = text("""
CREATE TEMPORARY TABLE incoming_candles (
    open_time timestamptz, open float8, high float8, low float8, close float8, volume float8, market_cap float8
) ON COMMIT DROP
""")

_MERGE = merge("incoming_candles")
