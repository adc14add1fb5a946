"""Candles over lists: as stored, or aggregated to longer intervals."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.graph.oracle.records import Candle

LENGTHS = {
    "M1": timedelta(minutes=1),
    "M5": timedelta(minutes=5),
    "M15": timedelta(minutes=15),
    "M30": timedelta(minutes=30),
    "H1": timedelta(hours=1),
    "H4": timedelta(hours=4),
    "D1": timedelta(days=1),
    "W1": timedelta(weeks=1),
}
# Boundaries of all intervals are whole numbers of intervals from this one.
A_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
NEWEST = 500


class Sum(float):
    """A sum of floats, whose last digits depend on the order of addition."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A candle as clients see it."""

    open_time: datetime
    close_time: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    market_cap: float | None
    source: str
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Series:
    """The same candles as one list for each field."""

    bars: list[Bar]


def opening(at: datetime, length: timedelta) -> datetime:
    """The open time of the candle that contains this time."""
    return A_MONDAY + (at - A_MONDAY) // length * length


def bars(
    stored: Iterable[Candle],
    length: timedelta,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    last: int | None = None,
) -> list[Bar]:
    """Candles of this length that open within [since, until), oldest first, aggregated from all stored ones."""
    if since is None and until is None and last is None:
        last = NEWEST
    within: dict[datetime, list[Candle]] = {}
    for candle in sorted(stored, key=lambda candle: candle.open_time):
        within.setdefault(opening(candle.open_time, length), []).append(candle)
    wanted = [
        _aggregate(open_time, length, parts)
        for open_time, parts in sorted(within.items())
        if (since is None or since <= open_time) and (until is None or open_time < until)
    ]
    return wanted if last is None else wanted[-last:]


def _aggregate(open_time: datetime, length: timedelta, parts: list[Candle]) -> Bar:
    sources = {part.source for part in parts}
    return Bar(
        open_time=open_time,
        close_time=open_time + length,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=parts[0].volume if len(parts) == 1 else Sum(sum(part.volume for part in parts)),
        # At the time of the close, so it is that of the last part, or null.
        market_cap=parts[-1].market_cap,
        source=sources.pop() if len(sources) == 1 else "mixed",
        is_closed=open_time + length <= datetime.now(UTC),
    )
