"""Importing candles: a CSV file goes into the table in one transaction, or not at all.

ImportRejected   what was asked for, or the file as a whole, makes no sense
└── BadRows     rows of the file were refused; carries the report
"""

import asyncio
import os
import re
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

from db.candle_csv import CandleFileError, CandleRow, Refusal, read_candles
from db.engine import Database
from db.errors import DatabaseUnavailable, StatementTimeout, translate
from db.intervals import INTERVALS
from db.settle import allow_time, settle
from db.writes.candles import merge

BATCH_ROWS = 10_000
KEPT_REFUSALS = 100
LONGEST_NAME = 100
LONGEST_SOURCE = 50
_SYMBOL = re.compile(r"[A-Za-z0-9._-]{1,20}")


@dataclass
class ImportReport:
    """What became of the rows of a file. Of the refusals only the first KEPT_REFUSALS are kept; refused counts all."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    settled: int = 0

    def refuse(self, refusals: list[Refusal]) -> None:
        self.refused += len(refusals)
        self.refusals += refusals[: KEPT_REFUSALS - len(self.refusals)]


class ImportRejected(Exception):
    """Nothing was imported; the message is written for the person who asked."""


class BadRows(ImportRejected):
    """Rows were refused, so nothing was imported. The report says which, and why."""

    def __init__(self, report: ImportReport) -> None:
        count = f"{report.refused:,} {'row is' if report.refused == 1 else 'rows are'}"
        super().__init__(f"{count} not valid, so nothing was imported.")
        self.report = report


@dataclass(frozen=True)
class _Series:
    """The series that the candles belong to, as it was asked for."""

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
    """Insert the candles of a CSV file or update those that differ, then settle the predictions that they touch.

    The cryptocurrency is created if it is missing; only then its name counts. progress is told the bytes that were read
    and those of the whole file. Raises ImportRejected or a db.errors.DatabaseError, and then nothing has changed.
    """
    series = _series(symbol.strip(), interval, name, source)
    try:
        with _opened(path) as file:
            async with database.transaction() as connection:
                return await _Import(connection, series, file, skip_bad_rows, progress).run()
    except CandleFileError as error:
        raise ImportRejected(str(error)) from error
    except (SQLAlchemyError, OSError) as error:
        raise translate(error) from error


def _series(symbol: str, interval: str, name: str | None, source: str) -> _Series:
    if not _SYMBOL.fullmatch(symbol):
        raise ImportRejected(f"{symbol!r} is no symbol: 1 to 20 letters, digits, dots, hyphens or underscores.")
    if interval not in INTERVALS:
        raise ImportRejected(f"{interval!r} is no interval: it is one of {', '.join(INTERVALS)}.")
    series = _Series(symbol.upper(), interval, name or symbol.upper(), source)
    for what, value, longest in (("name", series.name, LONGEST_NAME), ("source", source, LONGEST_SOURCE)):
        if not (value.strip() and len(value) <= longest and value.isprintable()):
            raise ImportRejected(f"{value!r} is no {what}: 1 to {longest} printable characters.")
    return series


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
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
        if self.report.refused and not (self.skip_bad_rows and copied):
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
        """How many candles were copied. After a refusal that ends it all, the rest is only checked."""
        rows = read_candles(self.file, self.series.interval, now=datetime.now(UTC))
        size = os.fstat(self.file.fileno()).st_size
        copied = 0
        # Reading and checking would block the event loop for a tenth of a second each time.
        while batch := await asyncio.to_thread(list, islice(rows, BATCH_ROWS)):
            self.report.refuse([row for row in batch if isinstance(row, Refusal)])
            if self.skip_bad_rows or not self.report.refused:
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
    """COPY is the driver's own affair: SQLAlchemy neither runs it nor translates its errors."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table("incoming_candles", records=candles, columns=CandleRow._fields)
    except BaseException as error:
        # In the middle of a COPY the driver cannot always roll back, and SQLAlchemy would put the connection back into
        # the pool inside its transaction. Without the connection, the server rolls back by itself.
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

# NO KEY: others may still write rows that refer to the cryptocurrency.
_LOCK_SERIES = text("SELECT id, base_interval FROM cryptocurrencies WHERE symbol = :symbol FOR NO KEY UPDATE")

_CREATE_INCOMING = text("""
CREATE TEMPORARY TABLE incoming_candles (
    open_time timestamptz, open float8, high float8, low float8, close float8, volume float8, market_cap float8
) ON COMMIT DROP
""")

_MERGE = merge("incoming_candles")
