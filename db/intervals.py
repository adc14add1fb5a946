"""Candle intervals, and the grid of UTC boundaries that they share."""

from datetime import UTC, datetime, timedelta

INTERVALS: dict[str, timedelta] = {
    "M1": timedelta(minutes=1),
    "M5": timedelta(minutes=5),
    "M15": timedelta(minutes=15),
    "M30": timedelta(minutes=30),
    "H1": timedelta(hours=1),
    "H4": timedelta(hours=4),
    "D1": timedelta(days=1),
    "W1": timedelta(weeks=1),
}

# A Monday, at or before every supported time. Every interval has a boundary here, so buckets counted from it open at
# UTC boundaries, and weeks on Mondays.
GRID_ORIGIN = datetime(1, 1, 1, tzinfo=UTC)


def opens_on_grid(at: datetime, interval: timedelta) -> bool:
    """Whether a candle of this interval can open at this time."""
    return (at - GRID_ORIGIN) % interval == timedelta(0)
