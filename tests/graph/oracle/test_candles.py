"""Candles of every interval over any range: equal to a plain aggregation, and consistent with each other."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.oracle import rows
from tests.graph.oracle.harness import Harness
from tests.graph.oracle.properties import SHRINKING
from tests.graph.oracle.records import Cryptocurrency, Record
from tests.graph.oracle.series import LENGTHS, opening
from tests.graph.oracle.shrinking import Operation

CANDLE = "openTime closeTime open high low close volume marketCap source isClosed"
PART = "openTime close"
LISTS = "openTime open high low close volume"
VARIABLES = "$symbol: String!, $interval: Interval, $from: DateTime, $middle: DateTime, $to: DateTime, $last: Int"
RANGE = f"""query({VARIABLES}) {{
    cryptocurrency(symbol: $symbol) {{
        whole: candles(interval: $interval, from: $from, to: $to) {{ {CANDLE} }}
        newest: candles(interval: $interval, from: $from, to: $to, last: $last) {{ {PART} }}
        lists: series(interval: $interval, from: $from, to: $to, last: $last) {{ {LISTS} }}
        earlier: candles(interval: $interval, from: $from, to: $middle) {{ {PART} }}
        later: candles(interval: $interval, from: $middle, to: $to) {{ {PART} }}
    }}
}}"""
EXTRA_COIN_ID = 555
BASES = {"BTC": "H1", "ETH": "M1", "OLD": "D1", "WEE": "W1", "NIL": "H4"}
# Ranges around the rows of each coin, so that bounds are often among them.
SPANS = {
    "BTC": (rows.hours(-5), rows.hours(300)),
    "ETH": (datetime(2024, 2, 29, 23, tzinfo=UTC), datetime(2024, 3, 1, 1, 30, tzinfo=UTC)),
    "OLD": (datetime(2023, 12, 18, tzinfo=UTC), datetime(2024, 1, 20, tzinfo=UTC)),
    "WEE": (datetime(2023, 12, 25, tzinfo=UTC), datetime(2024, 2, 20, tzinfo=UTC)),
    "NIL": (rows.hours(0), rows.hours(10)),
}
EDGES = [datetime(1969, 12, 31, 23, 59, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 4, tzinfo=UTC)]


@st.composite
def instants(draw: st.DrawFn, symbol: str, length: timedelta) -> datetime:
    """A time among a coin's candles: any, at a boundary, or next to one."""
    first, end = SPANS[symbol]
    at = draw(st.sampled_from([*EDGES, *[first + (end - first) * part / 64 for part in range(65)]]))
    if draw(st.booleans()):
        at = opening(at, length)
    return at + draw(st.integers(-1, 1)) * draw(st.sampled_from([rows.MICROSECOND, length / 2, length]))


@settings(SHRINKING, max_examples=25)
@given(data=st.data())
def test_any_range(harness: Harness, data: st.DataObject) -> None:
    symbol = data.draw(st.sampled_from([*BASES, "BTC", "ETH"]), label="symbol")
    lengths = [name for name, length in LENGTHS.items() if length >= LENGTHS[BASES[symbol]]]
    interval = data.draw(st.sampled_from([*lengths, None]), label="interval")
    length = LENGTHS[interval or BASES[symbol]]
    since, middle, until = sorted(data.draw(instants(symbol, length)) for _ in range(3))
    last = data.draw(st.integers(1, 12), label="last")
    variables = {"symbol": symbol, "interval": interval, "last": last}
    bounds = {"from": since.isoformat(), "middle": middle.isoformat(), "to": until.isoformat()}
    answer = harness.check(Operation(RANGE, {**variables, **bounds}))["cryptocurrency"]
    closes = [(candle["openTime"], candle["close"]) for candle in answer["whole"]]
    parts = [(candle["openTime"], candle["close"]) for candle in answer["earlier"] + answer["later"]]
    assert parts == closes, "a range has the candles of its two parts"
    assert [candle["openTime"] for candle in answer["newest"]] == [opened for opened, _ in closes[-last:]]
    for candle in answer["whole"]:
        opened = datetime.fromisoformat(candle["openTime"])
        assert since <= opened < until
        _check_boundary(opened, interval or BASES[symbol])


def _check_boundary(opened: datetime, interval: str) -> None:
    """Check that a candle opens at a boundary of the calendar, without our own arithmetic."""
    seconds = (opened.hour * 60 + opened.minute) * 60 + opened.second
    assert (seconds * 1_000_000 + opened.microsecond) % (min(LENGTHS[interval], rows.DAY) / rows.MICROSECOND) == 0
    assert interval != "W1" or opened.isoweekday() == 1


@settings(SHRINKING, max_examples=25)
@given(
    base=st.sampled_from([*LENGTHS]),
    start=st.integers(-200, 200),
    positions=st.lists(st.integers(0, 70), min_size=1, max_size=25, unique=True),
    sources=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4),
)
def test_any_candles(harness: Harness, base: str, start: int, positions: list[int], sources: list[str]) -> None:
    """Generated candles, in all intervals at once."""
    length = LENGTHS[base]
    opened = opening(datetime(2024, 3, 1, tzinfo=UTC), length) + start * length
    candles = [
        _candle(harness, opened + position * length, like=position, source=sources[position % len(sources)])
        for position in positions
    ]
    names = [name for name in LENGTHS if LENGTHS[name] >= length]
    fields = " ".join(f"{name}: candles(interval: {name}) {{ {CANDLE} }}" for name in names)
    inserted = [_coin(harness, base), *candles]
    harness.add(inserted)
    try:
        harness.check(Operation(f'{{ cryptocurrency(symbol: "EXTRA") {{ {fields} latest {{ {CANDLE} }} }} }}', {}))
    finally:
        harness.remove(inserted)


@pytest.fixture(scope="module")
def many(harness: Harness) -> Iterator[None]:
    """One minute candle in every five minutes: one more than an answer may have."""
    minutes = [SINCE + 2 * rows.MINUTE + position * LENGTHS["M5"] for position in range(10_001)]
    inserted = [_coin(harness, "M1"), *(_candle(harness, minute, like=0, source="many") for minute in minutes)]
    harness.add(inserted)
    yield
    harness.remove(inserted)


SINCE = datetime(2001, 1, 1, tzinfo=UTC)
UNTIL = SINCE + 10_001 * LENGTHS["M5"]


@pytest.mark.parametrize("interval", ["M1", "M5"])
@pytest.mark.parametrize(
    ("since", "until", "is_rejected"),
    [
        (SINCE, UNTIL, True),
        (SINCE, UNTIL - LENGTHS["M5"], False),
        (SINCE + LENGTHS["M5"], UNTIL, False),
    ],
)
def test_no_more_than_ten_thousand(
    harness: Harness, many: None, interval: str, since: datetime, until: datetime, is_rejected: bool
) -> None:
    operation = _many(interval, since, until)
    assert (harness.check(operation)["cryptocurrency"] is None) == is_rejected
    if is_rejected:
        suggested = harness.error_extensions(operation)["suggestedInterval"]
        assert harness.check(_many(suggested, since, until))["cryptocurrency"] is not None


def test_the_newest_without_a_range(harness: Harness, many: None) -> None:
    fields = "candles { openTime } blocks: candles(interval: M30) { openTime source }"
    answer = harness.check(Operation(f'{{ cryptocurrency(symbol: "EXTRA") {{ {fields} }} }}', {}))
    assert [len(answer["cryptocurrency"][name]) for name in ("candles", "blocks")] == [500, 500]


def test_a_candle_cut_by_the_start_does_not_count(harness: Harness, many: None) -> None:
    """It opens before the range, so it does not count, although a part of it is within the range."""
    assert harness.check(_many("M5", SINCE + rows.MINUTE, UNTIL))["cryptocurrency"] is not None


def test_a_candle_cut_by_the_end_counts(harness: Harness, many: None) -> None:
    """It opens within the range, so it is one too many, although its stored candles are after the end."""
    assert harness.check(_many("M5", SINCE, UNTIL - 4 * rows.MINUTE))["cryptocurrency"] is None


def _many(interval: str, since: datetime, until: datetime) -> Operation:
    field = f'candles(interval: {interval}, from: "{since.isoformat()}", to: "{until.isoformat()}") {{ openTime }}'
    return Operation(f'{{ cryptocurrency(symbol: "EXTRA") {{ {field} }} }}', {})


def _coin(harness: Harness, base: str) -> Cryptocurrency:
    like = harness.world.get(Cryptocurrency, rows.NIL)
    assert like is not None
    return replace(like, id=EXTRA_COIN_ID, symbol="EXTRA", coin_gecko_id=None, base_interval=base)


def _candle(harness: Harness, open_time: datetime, *, like: int, source: str) -> Record:
    pattern = harness.world.candles(rows.BTC)[like]
    return replace(pattern, cryptocurrency_id=EXTRA_COIN_ID, open_time=open_time, source=source)
