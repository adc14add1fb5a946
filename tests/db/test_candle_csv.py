"""The CSV parser for candles: accepted formats, and the reasons for rejected rows and files."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path

import pytest

from db.candle_csv import MAX_LINE_BYTES, CandleFileError, CandleRow, RejectedRow, read_candles

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEADER = "time,open,high,low,close,volume\n"
ROW = "2025-06-28T15:00:00Z,10,12,9,11,5\n"
CANDLE = CandleRow(datetime(2025, 6, 28, 15, tzinfo=UTC), 10.0, 12.0, 9.0, 11.0, 5.0, None)


def read(content: str | bytes, interval: str = "H1", now: datetime = NOW) -> list[CandleRow | RejectedRow]:
    raw = content.encode() if isinstance(content, str) else content
    return list(read_candles(BytesIO(raw), interval, now=now))


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW,
        "\ufeff" + HEADER + ROW,
        (HEADER + ROW).replace("\n", "\r\n"),
        "\ufeff" + (HEADER + ROW).replace("\n", "\r\n"),
        HEADER + ROW.rstrip("\n"),
        "\n" + HEADER + "\n" + ROW + "  \r\n\n",
        HEADER.upper() + ROW,
        HEADER.replace("time", "timestamp") + ROW,
        HEADER.replace("time", "Date") + ROW,
        HEADER.replace("time", "open_time") + ROW,
        HEADER.replace("time", "Open Time") + ROW,
        HEADER.replace("time", "openTime") + ROW,
        HEADER.replace(",", " , ") + ROW.replace(",", " , "),
        "close,open,volume,high,low,time\n11,10,5,12,9,2025-06-28T15:00:00Z\n",
        "pair," + HEADER.strip() + ",trades\nBTC_USD," + ROW.strip() + ",17\n",
        '"time","open","high","low","close","volume"\n"2025-06-28T15:00:00Z","10",12,9,11,5\n',
        "note," + HEADER + '"one, ""two""",' + ROW,
        HEADER.strip() + ",market_cap\n" + ROW.strip() + ",\n",
    ],
)
def test_accepted_file_formats(content: str) -> None:
    assert read(content) == [CANDLE]


@pytest.mark.parametrize(
    "time",
    [
        "2025-06-28 15:00:00+00:00",
        "2025-06-28T15:00Z",
        "2025-06-28T15:00:00.000Z",
        "2025-06-28T20:30:00+05:30",
        "20250628T150000Z",
        "1751122800",
        "1751122800.0",
        "1751122800000",
        "1751122800000000",
    ],
)
def test_accepted_time_formats(time: str) -> None:
    assert read(HEADER + ROW.replace("2025-06-28T15:00:00Z", time)) == [CANDLE]


def test_times_are_converted_to_utc() -> None:
    (row,) = read(HEADER + ROW.replace("15:00:00Z", "20:30:00+05:30"))
    assert isinstance(row, CandleRow)
    assert row.open_time.utcoffset() == timedelta(0)


@pytest.mark.parametrize("name", ["market_cap", "Market Cap", "marketCap"])
def test_market_cap(name: str) -> None:
    assert read(f"{HEADER.strip()},{name}\n{ROW.strip()},1e12\n") == [CANDLE._replace(market_cap=1e12)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2025-06-28T15:00:00Z,10,12,9", "its number of fields is 4, not 6"),
        ("2025-06-28T15:00:00Z,10,12,9,11,5,6", "its number of fields is 7, not 6"),
        ('2025-06-28T15:00:00Z,"10,12,9,11,5', "its quotation marks do not match"),
        ("2025-06-28T15:00:00Z,ten,12,9,11,5", "the open 'ten' is not a number"),
        ("2025-06-28T15:00:00Z,10,1_2,9,11,5", "the high '1_2' is not a number"),
        ("2025-06-28T15:00:00Z,10,12,9,,5", "the close '' is not a number"),
        ("2025-06-28T15:00:00Z,10,12,9,11,NaN", "the volume 'NaN' is not a finite number"),
        ("2025-06-28T15:00:00Z,10,inf,9,11,5", "the high 'inf' is not a finite number"),
        ("2025-06-28T15:00:00Z,10,1e999,9,11,5", "the high '1e999' is not a finite number"),
        ("2025-06-28T15:00:00Z,10,12,-9,11,5", "the low '-9' is negative"),
        ("2025-06-28T15:00:00Z,10,12,9,11,-5", "the volume '-5' is negative"),
        ("2025-06-28T15:00:00Z,10,8,9,11,5", "the high 8.0 is below the low 9.0"),
        ("2025-06-28T15:00:00Z,13,12,9,11,5", "the open 13.0 is above the high 12.0"),
        ("2025-06-28T15:00:00Z,8,12,9,11,5", "the open 8.0 is below the low 9.0"),
        ("2025-06-28T15:00:00Z,10,12,9,13,5", "the close 13.0 is above the high 12.0"),
        ("2025-06-28T15:00:00Z,10,12,9,8,5", "the close 8.0 is below the low 9.0"),
        ("2025-06-28T15:01:00Z,10,12,9,11,5", "no H1 candle opens at '2025-06-28T15:01:00Z'"),
        ("1751122801,10,12,9,11,5", "no H1 candle opens at '1751122801'"),
        ("2026-01-01T01:00:00Z,10,12,9,11,5", "the time '2026-01-01T01:00:00Z' is in the future"),
        (
            "2025-06-28 15:00:00,10,12,9,11,5",
            "the time '2025-06-28 15:00:00' has no offset from UTC, as in 2025-06-28T15:00:00Z",
        ),
        ("0001-01-01T00:00+14:00,10,12,9,11,5", "the time '0001-01-01T00:00+14:00' is out of range"),
        ("20250628,10,12,9,11,5", "'20250628' is not a time that can be read"),
        ("17511228000000000000,10,12,9,11,5", "'17511228000000000000' is not a time that can be read"),
        ("\N{ARABIC-INDIC DIGIT ONE}751122800,10,12,9,11,5", "'\u0661751122800' is not a time that can be read"),
        ("-1751122800,10,12,9,11,5", "'-1751122800' is not a time that can be read"),
        ("28.06.2025 15:00,10,12,9,11,5", "'28.06.2025 15:00' is not a time that can be read"),
        (",10,12,9,11,5", "'' is not a time that can be read"),
        ("\x1b[2J,10,12,9,11,5", r"'\x1b[2J' is not a time that can be read"),
        ("9" * 99 + ",10,12,9,11,5", f"'{'9' * 40}…' is not a time that can be read"),
    ],
)
def test_an_invalid_row_is_rejected_and_the_next_one_is_read(row: str, reason: str) -> None:
    assert read(f"{HEADER}{row}\n{ROW}") == [RejectedRow(2, reason), CANDLE]


def test_an_invalid_market_cap_is_rejected() -> None:
    assert read(HEADER.strip() + ",market_cap\n" + ROW.strip() + ",-1\n") == [
        RejectedRow(2, "the market cap '-1' is negative")
    ]


def test_a_repeated_time_is_rejected_with_the_number_of_its_first_line() -> None:
    same_time = "1751122800,10,12,9,10.5,5\n"
    other_time = "2025-06-28T14:00:00Z,10,12,9,11,5\n"
    rows = read(HEADER + ROW + other_time + ROW + same_time)
    reason = "its time is the same as that of line 2"
    assert [row for row in rows if isinstance(row, RejectedRow)] == [RejectedRow(4, reason), RejectedRow(5, reason)]


def test_a_rejected_row_does_not_reserve_its_time() -> None:
    invalid = ROW.replace("10", "NaN")
    assert read(HEADER + invalid + ROW)[1] == CANDLE


def test_line_numbers_count_blank_lines() -> None:
    assert read(f"\n{HEADER}\n{ROW}\nx\n")[1] == RejectedRow(6, "its number of fields is 1, not 6")


@pytest.mark.parametrize("newest_first", [False, True])
def test_gaps_and_any_order_are_accepted(newest_first: bool) -> None:
    times = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=h) for h in (*range(200), *range(300, 310), 5000)]
    times.sort(reverse=newest_first)
    rows = read(HEADER + "".join(f"{time.isoformat()},1,1,1,1,0\n" for time in times))
    assert [row.open_time for row in rows if isinstance(row, CandleRow)] == times


@pytest.mark.parametrize(
    ("interval", "opens", "does_not_open"),
    [
        ("M5", "2025-01-01T00:05Z", "2025-01-01T00:06Z"),
        ("H4", "2025-01-01T04:00Z", "2025-01-01T05:00Z"),
        ("D1", "2025-01-01T00:00Z", "2025-01-01T00:00+01:00"),
        ("W1", "2025-01-06T00:00Z", "2025-01-01T00:00Z"),
    ],
)
def test_the_grid_of_an_interval(interval: str, opens: str, does_not_open: str) -> None:
    good, bad = read(HEADER + f"{opens},1,1,1,1,1\n{does_not_open},1,1,1,1,1\n", interval)
    assert isinstance(good, CandleRow)
    assert bad == RejectedRow(3, f"no {interval} candle opens at '{does_not_open}'")


def test_the_candle_that_opens_now_is_accepted() -> None:
    assert read(HEADER + ROW, now=CANDLE.open_time) == [CANDLE]
    assert isinstance(read(HEADER + ROW, now=CANDLE.open_time - timedelta(seconds=1))[0], RejectedRow)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf \r\n\r\n", "The file is empty."),
        (HEADER.encode(), "The file has a header, but no candles."),
        (HEADER.encode() + b"\n  \n", "The file has a header, but no candles."),
        (ROW.encode(), "must be a header.* no column for time .* in '2025-06-28T15:00:00Z,10,12,9,11,5'"),
        (HEADER.replace(",volume", "").encode() + ROW.encode(), "no column for volume in 'time,open,high,low,close'"),
        (HEADER.replace(",", ";").encode() + ROW.encode(), "separated by commas"),
        (("Time,date," + HEADER[5:] + ROW).encode(), "The header has more than one of Time and date"),
        ((HEADER.replace("low", "open") + ROW).encode(), "The header has more than one of open and open"),
        (b'"time,open\n', "The header cannot be read: its quotation marks do not match"),
        ((HEADER + ROW).encode("utf-16"), "Line 1 is not UTF-8 text"),
        ((HEADER + ROW).encode("utf-16-le"), "Line 1 contains a NUL byte"),
        ((HEADER + ROW).encode() + b"\xff\n", "Line 3 is not UTF-8 text"),
        ((HEADER + ROW).encode() + b"\0" * 100, "Line 3 contains a NUL byte"),
        (HEADER.encode() + b"x" * (MAX_LINE_BYTES + 1), "Line 2 is longer than 65,536 bytes"),
    ],
)
def test_an_invalid_file_is_rejected(content: bytes, message: str) -> None:
    with pytest.raises(CandleFileError, match=message):
        read(content)


def test_an_io_error_while_reading() -> None:
    class Failing(BytesIO):
        def readline(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(CandleFileError, match=r"The file cannot be read: Input/output error\."):
        list(read_candles(Failing(), "H1", now=NOW))


def test_the_file_is_read_as_a_stream() -> None:
    """The parser reads only as far as its rows are consumed."""

    class Endless(BytesIO):
        def __init__(self) -> None:
            super().__init__()
            self._lines = self._generate()

        def _generate(self) -> Iterator[bytes]:
            yield HEADER.encode()
            at = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))
            while True:
                yield f"{at.isoformat()},1,1,1,1,1\n".encode()
                at += timedelta(hours=1)

        def readline(self, _size: int | None = -1, /) -> bytes:
            return next(self._lines)

    rows = read_candles(Endless(), "H1", now=NOW)
    assert [isinstance(next(rows), CandleRow) for _ in range(1000)] == [True] * 1000


@pytest.mark.parametrize(
    ("name", "interval", "count"),
    [("BTC-1h", "H1", 1000), ("ETH-1h", "H1", 1000), ("SOL-1h", "H1", 1000), ("BTC-1m-2023-03", "M1", 30_240)],
)
def test_real_files_are_accepted(shared_data: Path, name: str, interval: str, count: int) -> None:
    with (shared_data / f"{name}.csv").open("rb") as file:
        rows = list(read_candles(file, interval, now=datetime.now(UTC)))
    assert sum(isinstance(row, CandleRow) for row in rows) == len(rows) == count
