"""Candles from a CSV file, read as a stream and checked row by row. What is wrong with a row is told, not raised.

CandleFileError   the file as a whole cannot be read as candles
"""

import csv
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, NamedTuple

from db.intervals import GRID_ORIGIN, INTERVALS, opens_on_grid

# Nothing that holds candles has longer lines; a file without line ends must not be read into memory whole.
LONGEST_LINE = 64 * 1024
TIME_COLUMNS = ("timestamp", "time", "date", "opentime")
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
MARKET_CAP_COLUMN = "marketcap"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The number of digits tells the unit from 2001 to 2286. Other numbers are something else, often a date like 20250628.
EPOCH_UNITS = {10: timedelta(seconds=1), 13: timedelta(milliseconds=1), 16: timedelta(microseconds=1)}
_EPOCH_TIME = re.compile(r"([0-9]+)(?:\.0*)?")


class CandleFileError(Exception):
    """The file as a whole cannot be read as candles; the message is written for the person who chose it."""


class CandleRow(NamedTuple):
    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    market_cap: float | None


class Refusal(NamedTuple):
    line: int
    reason: str


def read_candles(file: BinaryIO, interval: str, *, now: datetime) -> Iterator[CandleRow | Refusal]:
    """Every row of the file in its order: the candle, or why it is refused. Blank lines are no rows.

    interval is a key of INTERVALS; a candle that opens after now is refused.

    Raises CandleFileError where the file makes no sense as a whole, which may be after some rows.
    """
    lines = _lines(file)
    _, header = next(lines, (0, None))
    if header is None:
        raise CandleFileError("The file is empty.")
    rows = _Rows(_Columns.of(header), interval, now)
    empty = True
    for number, line in lines:
        empty = False
        try:
            yield rows.candle(number, line)
        except _BadRow as error:
            yield Refusal(number, str(error))
    if empty:
        raise CandleFileError("The file has a header, but no candles.")


class _BadRow(Exception):
    """One row is refused; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a line each value is. prices are in the order of PRICE_COLUMNS."""

    count: int
    time: int
    prices: tuple[int, ...]
    market_cap: int | None

    @classmethod
    def of(cls, header: str) -> "_Columns":
        try:
            names = _fields(header)
        except _BadRow as error:
            raise CandleFileError(f"The header cannot be read: {error}.") from None
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(re.sub(r"[\s_-]+", "", name).lower(), []).append(place)
        time = _only_place(names, places, *TIME_COLUMNS)
        prices = tuple(_only_place(names, places, name) for name in PRICE_COLUMNS)
        market_cap = _only_place(names, places, MARKET_CAP_COLUMN) if MARKET_CAP_COLUMN in places else None
        return cls(len(names), time, prices, market_cap)


def _only_place(names: list[str], places: dict[str, list[int]], *wanted: str) -> int:
    found = [place for name in wanted for place in places.get(name, ())]
    if len(found) == 1:
        return found[0]
    if found:
        raise CandleFileError(f"Which column is meant? The header has {' and '.join(names[at] for at in found)}.")
    missing = "time (timestamp, time, date or open_time)" if wanted == TIME_COLUMNS else wanted[0]
    raise CandleFileError(
        "The first line must be a header with the columns time, open, high, low, close and volume, separated by commas."
        f" There is no column for {missing} in {_shown(','.join(names), 100)}."
    )


class _Rows:
    """The rows of one file: what they have in common, and which times were there before."""

    def __init__(self, columns: _Columns, interval: str, now: datetime) -> None:
        self._columns = columns
        self._interval = interval
        self._length = INTERVALS[interval]
        self._now = now
        self._lines = _LinesBySlot()

    def candle(self, number: int, line: str) -> CandleRow:
        fields = _fields(line)
        columns = self._columns
        if len(fields) != columns.count:
            raise _BadRow(f"its number of fields is {len(fields)}, not {columns.count}")
        open_time = self._open_time(fields[columns.time])
        opened, high, low, closed, volume = [
            _number(name, fields[at]) for name, at in zip(PRICE_COLUMNS, columns.prices, strict=True)
        ]
        if wrong := wrong_range(opened, high, low, closed):
            raise _BadRow(wrong[1])
        market_cap = None
        if columns.market_cap is not None and fields[columns.market_cap].strip():
            market_cap = _number("market cap", fields[columns.market_cap])
        if earlier := self._lines.claim((open_time - GRID_ORIGIN) // self._length, number):
            raise _BadRow(f"its time is the same as that of line {earlier}")
        return CandleRow(open_time, opened, high, low, closed, volume, market_cap)

    def _open_time(self, text: str) -> datetime:
        at = _time(text.strip())
        if not opens_on_grid(at, self._length):
            raise _BadRow(f"no {self._interval} candle opens at {_shown(text)}")
        if at > self._now:
            raise _BadRow(f"the time {_shown(text)} is in the future")
        return at


class _LinesBySlot:
    """Which line holds the candle of a slot, the grid counted in intervals.

    Lines are kept in short arrays, 5 bytes a candle where a dict takes 90: ten years of minutes fit in 30 MB.
    """

    _SIZE = 64
    _NONE = array("I", bytes(_SIZE * array("I").itemsize))

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def claim(self, slot: int, line: int) -> int:
        """The line that has the slot already; 0 if it is free, and then it belongs to this line."""
        number, place = divmod(slot, self._SIZE)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._NONE[:]
        if not (holder := page[place]):
            page[place] = line
        return holder


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers, counted from 1."""
    number = 0
    while raw := _read_line(file, number + 1):
        number += 1
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise CandleFileError(f"Line {number} is not UTF-8 text.") from None
        if "\0" in line:
            raise CandleFileError(f"Line {number} holds a NUL byte: this is not a text file in UTF-8.")
        if line and not line.isspace():
            yield number, line


def _read_line(file: BinaryIO, number: int) -> bytes:
    try:
        raw = file.readline(LONGEST_LINE + 1)
    except OSError as error:
        raise CandleFileError(f"The file cannot be read: {error.strerror}.") from error
    if len(raw) > LONGEST_LINE:
        raise CandleFileError(f"Line {number} is longer than {LONGEST_LINE:,} bytes: this is no CSV file of candles.")
    return raw


def _fields(line: str) -> list[str]:
    """The fields of one line. A line is always one row, so that a lost quote cannot swallow those that follow."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        raise _BadRow("its quotation marks do not match") from None


def _time(text: str) -> datetime:
    try:
        if text.replace(".", "", 1).isdecimal():
            return _epoch_time(text)
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise _BadRow(f"the time {_shown(text)} has no offset from UTC, as in 2025-06-28T15:00:00Z")
        return at.astimezone(UTC)
    except ValueError:
        raise _BadRow(f"{_shown(text)} is not a time that can be read") from None
    except OverflowError:
        raise _BadRow(f"the time {_shown(text)} is out of range") from None


def _epoch_time(text: str) -> datetime:
    """Raises ValueError if the number is not one of seconds, milliseconds or microseconds since 1970."""
    match = _EPOCH_TIME.fullmatch(text)
    if match is None or (unit := EPOCH_UNITS.get(len(match[1]))) is None:
        raise ValueError
    return EPOCH + int(match[1]) * unit


def _number(name: str, text: str) -> float:
    try:
        # float() would take 1_000.
        number = float(text.replace("_", "?"))
    except ValueError:
        raise _BadRow(f"the {name} {_shown(text)} is not a number") from None
    if not math.isfinite(number):
        raise _BadRow(f"the {name} {_shown(text)} is not a finite number")
    if number < 0:
        raise _BadRow(f"the {name} {_shown(text)} is negative")
    return number


def wrong_range(opened: float, high: float, low: float, closed: float) -> tuple[str, str] | None:
    """Which of the prices does not go with the others, and why."""
    if low <= opened <= high and low <= closed <= high:
        return None
    if high < low:
        return "high", f"the high {high} is below the low {low}"
    name, price = ("close", closed) if low <= opened <= high else ("open", opened)
    where = f"above the high {high}" if price > high else f"below the low {low}"
    return name, f"the {name} {price} is {where}"


def _shown(text: str, limit: int = 40) -> str:
    """The text as a message may show it: short, and without control characters that a terminal would obey."""
    return repr(text if len(text) <= limit else text[:limit] + "…")
