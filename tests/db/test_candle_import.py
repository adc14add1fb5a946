"""The import of candles: what it writes, what it rejects, and its concurrency."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from db import candle_import
from db.candle_csv import CandleRow, RejectedRow, read_candles
from db.candle_import import BadRows, ImportRejected, ImportReport, import_candles
from db.engine import Database, driver_url
from db.errors import DatabaseUnavailable
from tests.db.locks import until_waiting_for_a_lock

HEADER = "time,open,high,low,close,volume"
NOON = datetime(2025, 6, 28, 12, tzinfo=UTC)
CANDLES = text("""
SELECT timestamp, open_price, high_price, low_price, close_price, volume, market_cap, data_source
FROM market_data ORDER BY timestamp
""")
STORED = text("SELECT (SELECT count(*) FROM cryptocurrencies), (SELECT count(*) FROM market_data)")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*rows: str, header: str = HEADER) -> Path:
        path = tmp_path / "candles.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


def row(hour: int, close: float = 11.0) -> str:
    return f"{(NOON + timedelta(hours=hour)).isoformat()},10,99,9,{close},5"


async def load(database: Database, path: Path, **options: Any) -> ImportReport:
    return await import_candles(database, path, **{"symbol": "BTC", "interval": "H1"} | options)


async def stored(database: Database) -> tuple[int, int]:
    """The numbers of cryptocurrencies and candles."""
    return tuple((await database.fetch_rows(STORED))[0])


def between_batches(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Run a coroutine in the event loop after the first row was copied and before the second one is read."""
    loop = asyncio.get_running_loop()

    def read(*arguments: Any, **options: Any) -> Iterator[CandleRow | RejectedRow]:
        for number, candle in enumerate(read_candles(*arguments, **options)):
            if number == 1:
                asyncio.run_coroutine_threadsafe(do(), loop).result()
            yield candle

    monkeypatch.setattr(candle_import, "BATCH_ROWS", 1)
    monkeypatch.setattr(candle_import, "read_candles", read)


async def test_a_new_series(database: Database, write: Write) -> None:
    report = await load(database, write(row(1), row(0)), symbol=" btc ", name="Bitcoin", source="kraken")
    assert report == ImportReport(inserted=2)
    assert await database.fetch_rows(CANDLES) == [
        (NOON + timedelta(hours=hour), 10.0, 99.0, 9.0, 11.0, 5.0, None, "kraken") for hour in (0, 1)
    ]
    coins = text("SELECT symbol, name, base_interval, is_active FROM cryptocurrencies")
    assert await database.fetch_rows(coins) == [("BTC", "Bitcoin", "H1", True)]


async def test_the_name_is_the_symbol_if_none_is_given(database: Database, write: Write) -> None:
    await load(database, write(row(0)))
    await load(database, write(row(0)), name="Another")
    assert await database.fetch_rows(text("SELECT name FROM cryptocurrencies")) == [("BTC",)]


async def test_a_repeated_import_changes_nothing(database: Database, write: Write) -> None:
    versions = text("SELECT xmin::text, created_at FROM market_data")
    path = write(row(0), row(1), row(2))
    await load(database, path)
    written = await database.fetch_rows(versions)
    assert await load(database, path) == ImportReport(unchanged=3)
    assert await database.fetch_rows(versions) == written


async def test_new_changed_and_equal_candles(database: Database, write: Write) -> None:
    await load(database, write(row(0), row(1)))
    recorded = text("SELECT created_at FROM market_data ORDER BY timestamp")
    before = await database.fetch_rows(recorded)
    report = await load(database, write(row(0), row(1, close=12.0), row(2)))
    assert report == ImportReport(inserted=1, updated=1, unchanged=1)
    assert [candle.close_price for candle in await database.fetch_rows(CANDLES)] == [11.0, 12.0, 11.0]
    after = await database.fetch_rows(recorded)
    assert after[0] == before[0]
    assert after[1] > before[1]


@pytest.mark.parametrize("place", range(1, 6))
async def test_any_changed_value_is_an_update(database: Database, write: Write, place: int) -> None:
    values = [NOON.isoformat(), "10", "12", "9", "11", "5"]
    await load(database, write(",".join(values)))
    values[place] = str(float(values[place]) + 0.5)
    assert await load(database, write(",".join(values))) == ImportReport(updated=1)
    ((_, *found, _, _),) = await database.fetch_rows(CANDLES)
    assert found == [float(value) for value in values[1:]]


async def test_another_source_is_an_update(database: Database, write: Write) -> None:
    await load(database, write(row(0)))
    assert await load(database, write(row(0)), source="kraken") == ImportReport(updated=1)
    assert (await database.fetch_rows(CANDLES))[0].data_source == "kraken"


async def test_a_market_cap_stays_if_a_file_has_none(database: Database, write: Write) -> None:
    header = HEADER + ",Market Cap"
    await load(database, write(row(0) + ",1e12", row(1) + ",", header=header))
    assert await load(database, write(row(0), row(1))) == ImportReport(unchanged=2)
    assert [candle.market_cap for candle in await database.fetch_rows(CANDLES)] == [1e12, None]
    assert await load(database, write(row(0, close=12.0))) == ImportReport(updated=1)
    assert [candle.market_cap for candle in await database.fetch_rows(CANDLES)] == [1e12, None]
    assert await load(database, write(row(0, close=12.0) + ",2e12", header=header)) == ImportReport(updated=1)
    assert [candle.market_cap for candle in await database.fetch_rows(CANDLES)] == [2e12, None]


async def test_an_invalid_row_rolls_the_import_back(database: Database, write: Write) -> None:
    path = write(row(0), row(1, close=100.0), row(2), "truncated", row(0))
    with pytest.raises(BadRows, match=r"^3 rows are not valid, so nothing was imported\.$") as error:
        await load(database, path)
    assert error.value.report == ImportReport(
        rejected=3,
        rejected_rows=[
            RejectedRow(3, "the close 100.0 is above the high 99.0"),
            RejectedRow(5, "its number of fields is 1, not 6"),
            RejectedRow(6, "its time is the same as that of line 2"),
        ],
    )
    assert await stored(database) == (0, 0)


async def test_invalid_rows_can_be_skipped(database: Database, write: Write) -> None:
    report = await load(database, write(row(0), "truncated", row(2)), skip_bad_rows=True)
    assert (report.inserted, report.rejected, report.rejected_rows[0].line) == (2, 1, 3)
    assert await stored(database) == (1, 2)


async def test_a_file_with_only_invalid_rows_is_rejected_even_if_they_are_skipped(
    database: Database, write: Write
) -> None:
    with pytest.raises(BadRows, match="1 row is not valid"):
        await load(database, write("truncated"), skip_bad_rows=True)
    assert await stored(database) == (0, 0)


@pytest.mark.parametrize("skip_bad_rows", [False, True])
async def test_all_invalid_rows_are_counted_and_the_first_are_reported(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch, skip_bad_rows: bool
) -> None:
    monkeypatch.setattr(candle_import, "BATCH_ROWS", 70)
    with pytest.raises(BadRows) as error:
        await load(database, write(*["truncated"] * 250), skip_bad_rows=skip_bad_rows)
    assert error.value.report.rejected == 250
    assert [row.line for row in error.value.report.rejected_rows] == list(range(2, 102))


async def test_batches_are_one_import(database: Database, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candle_import, "BATCH_ROWS", 2)
    progress: list[tuple[int, int]] = []
    path = write(*(row(hour) for hour in range(5)))
    report = await load(database, path, progress=lambda done, total: progress.append((done, total)))
    assert report == ImportReport(inserted=5)
    size = path.stat().st_size
    assert [done for done, _ in progress] == sorted({done for done, _ in progress}), "progress increases"
    assert len(progress) == 3
    assert progress[-1] == (size, size)
    with pytest.raises(BadRows):
        await load(database, write(*(row(hour, close=12.0) for hour in range(4)), "truncated"))
    assert {candle.close_price for candle in await database.fetch_rows(CANDLES)} == {11.0}


async def test_another_interval_is_rejected(database: Database, write: Write) -> None:
    await load(database, write(row(0)))
    with pytest.raises(ImportRejected, match="BTC has H1 candles, and these are M1: one series holds one interval"):
        await load(database, write(row(1)), interval="M1")
    assert await stored(database) == (1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symbol": ""}, "'' is not a symbol: 1 to 20 letters, digits, dots, hyphens or underscores"),
        ({"symbol": "B" * 21}, "is not a symbol"),
        ({"symbol": "BTC/USD"}, "is not a symbol"),
        ({"symbol": "ß"}, "is not a symbol"),
        ({"interval": "1h"}, "'1h' is not an interval: use one of M1, M5, M15, M30, H1, H4, D1, W1"),
        ({"name": " "}, "' ' is not a name: 1 to 100 printable characters"),
        ({"name": "n" * 101}, "is not a name"),
        ({"name": "a\0b"}, r"'a\\x00b' is not a name"),
        ({"source": ""}, "'' is not a source: 1 to 50 printable characters"),
        ({"source": "s" * 51}, "is not a source"),
    ],
)
async def test_invalid_arguments_are_rejected(
    database: Database, write: Write, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ImportRejected, match=message):
        await load(database, write(row(0)), **options)
    assert await stored(database) == (0, 0)


@pytest.mark.parametrize("symbol", ["1INCH", "brk.b", "BTC-USD", "BTC_1M", "B" * 20])
async def test_valid_symbols(database: Database, write: Write, symbol: str) -> None:
    await load(database, write(row(0)), symbol=symbol)
    assert await database.fetch_rows(text("SELECT symbol FROM cryptocurrencies")) == [(symbol.upper(),)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (HEADER.encode(), "The file has a header, but no candles"),
        (b"\xff\xfe", "Line 1 is not UTF-8 text"),
        (f"{HEADER}\n{row(0)}\n\0".encode(), "Line 3 contains a NUL byte"),
    ],
)
async def test_an_invalid_file_is_rejected(database: Database, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(content)
    with pytest.raises(ImportRejected, match=message):
        await load(database, path, skip_bad_rows=True)
    assert await stored(database) == (0, 0)


async def test_a_file_that_cannot_be_opened_is_rejected(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ImportRejected, match=r"missing\.csv cannot be read: No such file or directory"):
        await load(database, tmp_path / "missing.csv")
    with pytest.raises(ImportRejected, match="is not a file"):
        await load(database, tmp_path)


async def test_an_import_settles_the_affected_predictions(database: Database, write: Write) -> None:
    await load(database, write(row(0)))
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO models (name, version) VALUES ('test', '1')"))
        await connection.execute(
            text("""
            INSERT INTO predictions (
                cryptocurrency_id, model_id, prediction_timestamp, target_timestamp, predicted_price
            ) SELECT c.id, m.id, '2025-06-28 12:00Z', '2025-06-28 14:00Z', 22 FROM cryptocurrencies c, models m
            """)
        )
    settled = text("SELECT actual_price, error FROM predictions")
    assert (await load(database, write(row(0)))).settled == 1
    assert await database.fetch_rows(settled) == [(11.0, 100.0)]
    assert (await load(database, write(row(1, close=20.0)))).settled == 1, "a candle that arrived late"
    assert await database.fetch_rows(settled) == [(20.0, 10.0)]
    assert (await load(database, write(row(1, close=40.0)))).settled == 1, "a candle that changed"
    assert await database.fetch_rows(settled) == [(40.0, -45.0)]
    assert (await load(database, write(row(1, close=40.0)))).settled == 0


async def test_concurrent_imports_of_a_new_series(database: Database, write: Write) -> None:
    path = write(*(row(hour) for hour in range(1000)))
    reports = await asyncio.gather(*(load(database, path) for _ in range(4)))
    assert sorted(report.inserted for report in reports) == [0, 0, 0, 1000]
    assert sorted(report.unchanged for report in reports) == [0, 1000, 1000, 1000]
    assert await stored(database) == (1, 1000)


async def test_concurrent_imports_of_a_new_series_with_two_intervals(database: Database, write: Write) -> None:
    path = write(row(0))
    results = await asyncio.gather(
        *(load(database, path, interval=interval) for interval in ("H1", "M1", "H1", "M1")), return_exceptions=True
    )
    assert sum(isinstance(result, ImportReport) for result in results) == 2
    assert sum(isinstance(result, ImportRejected) for result in results) == 2


async def test_an_import_waits_for_a_transaction_that_changes_its_series(database: Database, write: Write) -> None:
    await load(database, write(row(0)))
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE cryptocurrencies SET base_interval = 'M30'"))
        waiting = asyncio.create_task(load(database, write(row(1))))
        await until_waiting_for_a_lock(database)
        assert not waiting.done()
    with pytest.raises(ImportRejected, match="BTC has M30 candles"):
        await waiting


async def test_a_series_cannot_be_changed_during_its_import(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = text("UPDATE cryptocurrencies SET base_interval = 'M30' RETURNING 1")

    async def try_to_change() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(database.fetch_value(change), 0.3)

    await load(database, write(row(0)))
    between_batches(monkeypatch, try_to_change)
    assert (await load(database, write(row(1), row(2)))).inserted == 2


async def test_rows_that_reference_a_series_can_be_inserted_during_its_import(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    await load(database, write(row(0)))
    sentiment = text("""
        INSERT INTO sentiment_data (cryptocurrency_id, source, sentiment_score, timestamp)
        SELECT id, 'test', 0, now() FROM cryptocurrencies RETURNING 1
    """)
    between_batches(monkeypatch, lambda: asyncio.wait_for(database.fetch_value(sentiment), 3))
    assert (await load(database, write(row(1), row(2)))).inserted == 2


async def test_timeouts_and_the_temporary_table_end_with_the_import(database: Database, write: Write) -> None:
    for number in range(5):
        await load(database, write(row(number)))
        with pytest.raises(BadRows):
            await load(database, write("truncated"))
        left = text("SELECT current_setting('statement_timeout'), to_regclass('pg_temp.incoming_candles')::text")
        assert await database.fetch_rows(left) == [("10s", None)]


async def test_a_server_that_cannot_be_reached(tmp_path: Path, write: Write) -> None:
    nowhere = Database(driver_url(f"postgresql://postgres@/postgres?host={tmp_path}"), pool_size=1)
    with pytest.raises(DatabaseUnavailable, match=r"^The database cannot be reached\.$"):
        await load(nowhere, write(row(0)))
    await nowhere.close()


async def test_a_connection_lost_during_the_import(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = text("""
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle in transaction'
    """)
    between_batches(monkeypatch, lambda: database.fetch_rows(end))
    with pytest.raises(DatabaseUnavailable):
        await load(database, write(row(0), row(1)))
    assert await stored(database) == (0, 0)


async def test_a_connection_is_discarded_after_a_failed_copy(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        """The driver's error if the server closes the connection just as a COPY begins."""
        raise asyncpg.InternalClientError("cannot switch to state 21; another operation (2) is in progress")

    process = text("SELECT pg_backend_pid()")
    used = await database.fetch_value(process)
    monkeypatch.setattr(asyncpg.Connection, "copy_records_to_table", fail)
    with pytest.raises(DatabaseUnavailable, match="The connection to the database was lost"):
        await load(database, write(row(0)))
    assert await database.fetch_value(process) != used


async def test_a_cancelled_import_is_rolled_back(
    database: Database, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancel() -> None:
        importing.cancel()

    between_batches(monkeypatch, cancel)
    importing = asyncio.create_task(load(database, write(row(0), row(1))))
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert await stored(database) == (0, 0)


@pytest.mark.parametrize(
    ("name", "interval", "count"),
    [("BTC-1h", "H1", 1000), ("ETH-1h", "H1", 1000), ("SOL-1h", "H1", 1000), ("BTC-1m-2023-03", "M1", 30_240)],
)
async def test_real_files_are_imported_unchanged(
    database: Database, shared_data: Path, name: str, interval: str, count: int
) -> None:
    path = shared_data / f"{name}.csv"
    started = time.process_time()
    assert await load(database, path, interval=interval) == ImportReport(inserted=count)
    assert time.process_time() - started < 3
    assert await load(database, path, interval=interval) == ImportReport(unchanged=count)
    first, last = path.read_text().splitlines()[1 :: count - 1]
    found = await database.fetch_rows(CANDLES)
    for line, candle in ((first, found[0]), (last, found[-1])):
        opened, *prices = line.split(",")
        assert tuple(candle) == (datetime.fromisoformat(opened), *map(float, prices), None, "csv")
