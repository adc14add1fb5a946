"""A streaming CSV parser for candles. An invalid row is yielded with its reason, not raised.

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

# Far longer than any line with a candle. Without a limit, a file without line ends would be read into memory whole.
MAX_LINE_BYTES = 64 * 1024
TIME_COLUMNS = ("timestamp", "time", "date", "opentime")
PRICE_COLUMNS = ("open", "high", "low", "close", "volume")
MARKET_CAP_COLUMN = "marketcap"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# From 2001 to 2286 the number of digits determines the unit. Other numbers are something else, often a date: 20250628.
EPOCH_UNITS = {10: timedelta(seconds=1), 13: timedelta(milliseconds=1), 16: timedelta(microseconds=1)}
_EPOCH_TIME = re.compile(r"([0-9]+)(?:\.0*)?")


class CandleFileError(Exception):
    """The file as a whole cannot be read as candles. The message is for the user."""


class CandleRow(NamedTuple):
    """A candle. open_time: UTC. market_cap: None if the file has none."""

    open_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    market_cap: float | None


class RejectedRow(NamedTuple):
    """An invalid row. line: counted from 1."""

    line: int
    reason: str


def read_candles(file: BinaryIO, interval: str, *, now: datetime) -> Iterator[CandleRow | RejectedRow]:
    """The rows of the file in order, each as a candle or as a rejected row. Blank lines are skipped.

    interval: a key of INTERVALS. A candle that opens after now is rejected.

    Raises CandleFileError if the file as a whole cannot be read, possibly after some rows.
    """
    lines = _lines(file)
    _, header = next(lines, (0, None))
    if header is None:
        raise CandleFileError("The file is empty.")
    parser = _RowParser(_Columns.of(header), interval, now)
    is_empty = True
    for number, line in lines:
        is_empty = False
        try:
            yield parser.parse(number, line)
        except _InvalidRow as error:
            yield RejectedRow(number, str(error))
    if is_empty:
        raise CandleFileError("The file has a header, but no candles.")


class _InvalidRow(Exception):
    """The row is rejected; the message is the reason."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """The positions of the columns in a line. prices: in the order of PRICE_COLUMNS."""

    count: int
    time: int
    prices: tuple[int, ...]
    market_cap: int | None

    @classmethod
    def of(cls, header: str) -> "_Columns":
        try:
            names = _fields(header)
        except _InvalidRow as error:
            raise CandleFileError(f"The header cannot be read: {error}.") from None
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(re.sub(r"[\s_-]+", "", name).lower(), []).append(place)
        time = _find_column(names, places, *TIME_COLUMNS)
        prices = tuple(_find_column(names, places, name) for name in PRICE_COLUMNS)
        market_cap = _find_column(names, places, MARKET_CAP_COLUMN) if MARKET_CAP_COLUMN in places else None
        return cls(len(names), time, prices, market_cap)


def _find_column(names: list[str], places: dict[str, list[int]], *accepted: str) -> int:
    found = [place for name in accepted for place in places.get(name, ())]
    if len(found) == 1:
        return found[0]
    if found:
        raise CandleFileError(f"The header has more than one of {' and '.join(names[at] for at in found)}.")
    missing = "time (timestamp, time, date or open_time)" if accepted == TIME_COLUMNS else accepted[0]
    raise CandleFileError(
        "The first line must be a header with the columns time, open, high, low, close and volume, separated by commas."
        f" There is no column for {missing} in {_quoted(','.join(names), 100)}."
    )


class _RowParser:
    """Parses the rows of one file and detects repeated open times."""

    def __init__(self, columns: _Columns, interval: str, now: datetime) -> None:
        self._columns = columns
        self._interval = interval
        self._length = INTERVALS[interval]
        self._now = now
        self._first_lines = _FirstLines()

    def parse(self, number: int, line: str) -> CandleRow:
        fields = _fields(line)
        columns = self._columns
        if len(fields) != columns.count:
            raise _InvalidRow(f"its number of fields is {len(fields)}, not {columns.count}")
        open_time = self._open_time(fields[columns.time])
        opened, high, low, closed, volume = [
            _number(name, fields[at]) for name, at in zip(PRICE_COLUMNS, columns.prices, strict=True)
        ]
        if inconsistency := price_inconsistency(opened, high, low, closed):
            raise _InvalidRow(inconsistency[1])
        market_cap = None
        if columns.market_cap is not None and fields[columns.market_cap].strip():
            market_cap = _number("market cap", fields[columns.market_cap])
        if earlier := self._first_lines.set_default((open_time - GRID_ORIGIN) // self._length, number):
            raise _InvalidRow(f"its time is the same as that of line {earlier}")
        return CandleRow(open_time, opened, high, low, closed, volume, market_cap)

    def _open_time(self, text: str) -> datetime:
        at = _time(text.strip())
        if not opens_on_grid(at, self._length):
            raise _InvalidRow(f"no {self._interval} candle opens at {_quoted(text)}")
        if at > self._now:
            raise _InvalidRow(f"the time {_quoted(text)} is in the future")
        return at


class _FirstLines:
    """The first line with each open time. A slot is an open time, counted in intervals from the origin of the grid.

    Line numbers are in short arrays, 5 bytes per candle; a dict takes 90. Ten years of minutes fit in 30 MB.
    """

    _SIZE = 64
    _NONE = array("I", bytes(_SIZE * array("I").itemsize))

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def set_default(self, slot: int, line: int) -> int:
        """The earlier line of the slot; 0 if there is none, and then this line is stored."""
        number, place = divmod(slot, self._SIZE)
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = self._NONE[:]
        if not (earlier := page[place]):
            page[place] = line
        return earlier


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The non-blank lines with their numbers, counted from 1."""
    number = 0
    while raw := _read_line(file, number + 1):
        number += 1
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise CandleFileError(f"Line {number} is not UTF-8 text.") from None
        if "\0" in line:
            raise CandleFileError(f"Line {number} contains a NUL byte: this is not a UTF-8 text file.")
        if line and not line.isspace():
            yield number, line


def _read_line(file: BinaryIO, number: int) -> bytes:
    try:
        raw = file.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise CandleFileError(f"The file cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_LINE_BYTES:
        raise CandleFileError(
            f"Line {number} is longer than {MAX_LINE_BYTES:,} bytes: this is not a CSV file of candles."
        )
    return raw


def _fields(line: str) -> list[str]:
    """The fields of one line. A row never spans lines, so an unmatched quote cannot swallow the lines after it."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        raise _InvalidRow("its quotation marks do not match") from None


def _time(text: str) -> datetime:
    try:
        if text.replace(".", "", 1).isdecimal():
            return _epoch_time(text)
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise _InvalidRow(f"the time {_quoted(text)} has no offset from UTC, as in 2025-06-28T15:00:00Z")
        return at.astimezone(UTC)
    except ValueError:
        raise _InvalidRow(f"{_quoted(text)} is not a time that can be read") from None
    except OverflowError:
        raise _InvalidRow(f"the time {_quoted(text)} is out of range") from None


def _epoch_time(text: str) -> datetime:
    """A time from seconds, milliseconds or microseconds since 1970. Raises ValueError for any other number."""
    match = _EPOCH_TIME.fullmatch(text)
    if match is None or (unit := EPOCH_UNITS.get(len(match[1]))) is None:
        raise ValueError
    return EPOCH + int(match[1]) * unit


def _number(name: str, text: str) -> float:
    try:
        # float() would accept 1_000.
        number = float(text.replace("_", "?"))
    except ValueError:
        raise _InvalidRow(f"the {name} {_quoted(text)} is not a number") from None
    if not math.isfinite(number):
        raise _InvalidRow(f"the {name} {_quoted(text)} is not a finite number")
    if number < 0:
        raise _InvalidRow(f"the {name} {_quoted(text)} is negative")
    return number


def price_inconsistency(opened: float, high: float, low: float, closed: float) -> tuple[str, str] | None:
    """The name of a price that contradicts the others, and the reason; None if all are consistent."""
    if low <= opened <= high and low <= closed <= high:
        return None
    if high < low:
        return "high", f"the high {high} is below the low {low}"
    name, price = ("close", closed) if low <= opened <= high else ("open", opened)
    where = f"above the high {high}" if price > high else f"below the low {low}"
    return name, f"the {name} {price} is {where}"


def _quoted(text: str, limit: int = 40) -> str:
    """The text for a message: quoted, truncated, and with control characters escaped."""
    return repr(text if len(text) <= limit else text[:limit] + "…")
