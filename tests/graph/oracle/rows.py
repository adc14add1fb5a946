"""A small dataset of edge cases: ties, gaps, nulls, huge keys, times at the limits of the calendar.

Only one prediction is near the present, and days from a change of its status, so values that depend on the clock
(isClosed, status, relative times) do not change during a test.
"""

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tests.graph.oracle.records import (
    Alert,
    Candle,
    Cryptocurrency,
    Model,
    Prediction,
    Record,
    Sentiment,
    Signal,
    Strategy,
    Trade,
)
from tests.graph.oracle.world import USER_ID

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
MICROSECOND = timedelta(microseconds=1)
# A key that a double cannot represent.
HUGE = 2**53 + 1
# A Friday evening before a leap day: the series contains starts of days, weeks and months.
START = datetime(2024, 2, 23, 20, tzinfo=UTC)
HOURS_MISSING = {5, 6, 7, 20, 50, 51, *range(100, 125), 200}
BTC, ETH, NIL, WEE, OLD = 3, 7, 12, 20, HUGE
BASE_LENGTHS = {BTC: HOUR, ETH: MINUTE, NIL: 4 * HOUR, WEE: WEEK, OLD: DAY}
# The driver takes the first and last instants of Python's calendar for infinity, which our columns reject.
EARLIEST = datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
CONFIDENCES = (None, 0.0, 0.1, 0.5, 0.5, 0.1 + 0.2, 1.0)
EXTRAS: tuple[Any, ...] = (
    None,
    {},
    {"b": [1, 2.5, {"é": None}], "a": 'quote " backslash \\ newline \n tab \t'},
    [True, None, "\u2028", 2**53 - 1],
    {"nested": {"deep": [[], {}]}, "id": "not an id"},
)
TIMES = (
    *(START + 10 * HOUR,) * 9,  # more ties than rows of a small page
    START + 10 * HOUR + MICROSECOND,
    START + 10 * HOUR - MICROSECOND,
    START + 30 * HOUR,
    START + 30 * HOUR,
    datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    EARLIEST,
    LATEST,
)


def hours(count: float) -> datetime:
    return START + count * HOUR


def edge_case_rows() -> list[Record]:
    random = Random(20240229)
    candles = [*_candles()]
    predictions = [*_predictions(random, {(row.cryptocurrency_id, row.open_time): row.close for row in candles})]
    signals = [*_signals(random, [row.id for row in predictions])]
    trades = _trades(random, [row.id for row in signals])
    return [*_coins(), *candles, *_models(), *predictions, *_strategies(), *signals, *trades, *_sentiment(), *_alerts()]


def _recorded(key: int) -> datetime:
    return datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=key % 100_003, microseconds=key % 1_000)


def _coins() -> Iterator[Cryptocurrency]:
    named = {
        BTC: ("BTC", "Bitcoin", "bitcoin", True, "H1"),
        ETH: ("ETH", "Éther 100%_pure", None, True, "M1"),
        NIL: ("NIL", 'No "candles" \\ here', "nil-coin", True, "H4"),
        WEE: ("WEE", "weekly, 日本", None, False, "W1"),
        OLD: ("OLD", "Old\ncoin", "old", True, "D1"),
    }
    for number, (key, (symbol, name, coin_gecko_id, is_active, base_interval)) in enumerate(named.items()):
        yield Cryptocurrency(
            id=key,
            symbol=symbol,
            name=name,
            coin_gecko_id=coin_gecko_id,
            is_active=is_active,
            base_interval=base_interval,
            created_at=_recorded(number),
            updated_at=_recorded(number) + number * DAY,
        )


def _candles() -> Iterator[Candle]:
    yield from _series(BTC, (hours(hour) for hour in range(291) if hour not in HOURS_MISSING), 100.0)
    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    minutes = (midnight + minute * MINUTE for minute in range(-40, 60) if minute % 11 and minute not in range(16, 31))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    yield from _series(ETH, [epoch - MINUTE, epoch, epoch + 29 * MINUTE, *minutes], 1e-9)
    winter, far = datetime(2023, 12, 20, tzinfo=UTC), datetime(2100, 1, 4, tzinfo=UTC)
    yield from _series(OLD, [*(winter + day * DAY for day in range(22) if day not in (3, 4, 5, 12)), far], 1e15)
    yield from _series(WEE, [datetime(2024, 1, 1, tzinfo=UTC) + week * WEEK for week in (0, 1, 3, 6)], 5.0)


def _series(coin: int, open_times: Iterable[datetime], price: float) -> Iterator[Candle]:
    random = Random(coin)
    for number, open_time in enumerate(open_times):
        open_, close = price, price * random.uniform(0.9, 1.1)
        yield Candle(
            cryptocurrency_id=coin,
            open_time=open_time,
            open=open_,
            high=max(open_, close) * random.uniform(1, 1.05),
            low=min(open_, close) * random.uniform(0.95, 1),
            close=close,
            volume=random.choice([0.0, 0.1, 1e-9, random.uniform(0, 1e6)]),
            market_cap=None if number % 3 == 0 else close * 19_000_000,
            source="binance" if number // 7 % 2 else "kraken",
        )
        price = close * random.uniform(0.99, 1.01)


def _models() -> Iterator[Model]:
    plain: dict[str, Any] = dict.fromkeys(("type", "accuracy", "precision", "recall", "auc", "trained_at", "extra"))
    measured = {"type": "naïve", "accuracy": 0.5, "precision": 0.0, "recall": 1.0, "auc": 0.1 + 0.2}
    yield Model(id=2, name="last price", version="1.0", created_at=_recorded(2), **{**plain, **measured})
    yield Model(id=5, name="lstm", version="1.0", created_at=_recorded(5), **{**plain, "extra": EXTRAS[2]})
    yield Model(id=6, name="lstm", version="2.0-β", created_at=_recorded(6), **{**plain, "trained_at": hours(0.5)})
    yield Model(id=HUGE, name="LSTM", version="2.0-β", created_at=_recorded(HUGE), **plain)


def _predictions(random: Random, closes: dict[tuple[int, datetime], float]) -> Iterator[Prediction]:
    def close(hour: int) -> float:
        return closes[BTC, hours(hour)]

    # Settled: (made at, predicted, actual). The last close before it decides the direction.
    settled = [
        (hours(10), close(9) * 1.1, close(11)),
        (hours(10), close(9), close(11)),  # no predicted move
        (hours(10), close(9) * 0.9, close(9)),  # no actual move
        (hours(10.5), close(9) * 0.9, close(9) * 0.8),  # the candle that had closed opened 90 minutes ago
        (hours(20.5), close(19) * 2, close(19) * 3),
        (hours(21), close(19) * 2, close(19) * 0.5),  # closed one interval before, no more
        (hours(21.5), close(19) * 2, close(19) * 0.5),  # closed too long before
        (hours(8), close(9), close(11)),  # missing
        (hours(101), close(99) * 1.01, close(99) * 1.02),
        (hours(125), 0.0, 1e-9),
        (hours(-100), 1e15, 0.1),
    ]
    # Unsettled: (coin, target). Void, or pending for one of several reasons.
    unsettled = [
        (BTC, hours(110)),  # void
        (BTC, hours(52)),  # void: two candles are missing
        (BTC, hours(51)),  # its candle is stored, but the prediction is not settled
        (BTC, hours(292)),  # the same, at the end of the series
        (BTC, hours(293)),  # neither this candle nor a later one is stored
        (BTC, LATEST),
        (NIL, hours(3)),
        (OLD, datetime(2023, 12, 25, tzinfo=UTC)),  # void
        (OLD, datetime(2023, 12, 26, tzinfo=UTC)),  # void: the candle of the 25th closes too late
        (OLD, datetime(2099, 1, 1, tzinfo=UTC)),
        (WEE, datetime(2024, 1, 22, tzinfo=UTC)),  # its candle is stored
        (WEE, datetime(2024, 1, 25, tzinfo=UTC)),  # void
        (WEE, datetime(2024, 2, 12, tzinfo=UTC)),  # void: the only later candle opens then
        (WEE, datetime.now(UTC) - 3 * DAY),  # pending, and overdue only in a few days
        *((coin, hours(14)) for coin in (ETH, NIL, WEE, OLD, BTC)),
    ]
    keys = itertools.chain([HUGE], itertools.count(10, 10))
    for number, (made, predicted, actual) in enumerate(settled):
        outcome = {"actual_price": actual, "error_percent": 100 * (predicted - actual) / actual}
        outcome = {"settled_at": made + DAY, **outcome}
        yield _prediction(random, next(keys), BTC, made, made + (number % 3 + 1) * HOUR, predicted, outcome)
    no_outcome = dict.fromkeys(("actual_price", "error_percent", "settled_at"))
    for number, (coin, target) in enumerate(unsettled):
        made = min(hours(10), target - MINUTE) if number % 2 else target - HOUR
        yield _prediction(random, next(keys), coin, made, target, random.uniform(0, 1e5), no_outcome)


def _prediction(
    random: Random, key: int, coin: int, made: datetime, target: datetime, price: float, outcome: dict[str, Any]
) -> Prediction:
    return Prediction(
        id=key,
        cryptocurrency_id=coin,
        model_id=random.choice([2, 5, 6, HUGE]),
        predicted_at=made,
        target_at=target,
        predicted_price=price,
        confidence=random.choice(CONFIDENCES),
        features=random.choice(EXTRAS),
        created_at=_recorded(key),
        **outcome,
    )


def _strategies() -> Iterator[Strategy]:
    described = {
        1: ("momentum", "Follows\r\nwhat rises.", {"window": 14, "levels": [0.1, 0.25]}, True),
        4: ("mean reversion", None, {}, True),
        8: ("idle 'quotes' 💤", "", {"é": {"": None}}, False),
    }
    for key, (name, description, parameters, is_active) in described.items():
        yield Strategy(
            id=key,
            user_id=USER_ID,
            name=name,
            description=description,
            parameters=parameters,
            is_active=is_active,
            created_at=_recorded(key),
            updated_at=_recorded(key) + DAY,
        )


def _signals(random: Random, predictions: list[int]) -> Iterator[Signal]:
    for number, timestamp in enumerate([*TIMES, *TIMES, *TIMES]):  # more than a default page
        key = HUGE if number == 4 else 10 * (number + 1)
        yield Signal(
            id=key,
            cryptocurrency_id=random.choice([BTC, BTC, ETH, OLD, NIL]),
            strategy_id=random.choice([None, 1, 1, 4]),
            model_id=random.choice([None, 2, 5, HUGE]),
            prediction_id=random.choice([None, *predictions[:6]]),
            type=random.choice(["BUY", "SELL", "HOLD"]),
            confidence=random.choice(CONFIDENCES),
            timestamp=timestamp,
            extra=random.choice(EXTRAS),
            created_at=_recorded(key),
        )


AMOUNTS = [
    Decimal(text)
    for text in (
        *("0.000000000000000001", "99999999999999999999.999999999999999999", "1.000000000000000000", "100", "0.10"),
        *("12345678901234567890.123456789012345678", "3.333333333333333333", "1e3", "60000.50"),
    )
]


def _trades(random: Random, signals: list[int]) -> Iterator[Trade]:
    for number, (timestamp, price) in enumerate(zip([*TIMES, *TIMES], itertools.cycle(AMOUNTS), strict=False)):
        key = HUGE if number == 2 else 10 * (number + 1)
        yield Trade(
            id=key,
            cryptocurrency_id=random.choice([BTC, BTC, ETH, OLD]),
            signal_id=random.choice([None, *signals[:12]]),
            side=random.choice(["BUY", "SELL"]),
            price=price,
            quantity=random.choice(AMOUNTS),
            status=random.choice(["PENDING", "EXECUTED", "FAILED"]),
            is_paper=random.choice([True, False]),
            pnl=random.choice(
                [None, Decimal(0), Decimal("-0.000000000000000001"), AMOUNTS[1].copy_negate(), Decimal("5.500")]
            ),
            timestamp=timestamp,
            created_at=_recorded(key),
        )


def _sentiment() -> Iterator[Sentiment]:
    for number, timestamp in enumerate(TIMES):
        yield Sentiment(
            id=HUGE if number == 3 else 10 * (number + 1),
            cryptocurrency_id=(BTC, BTC, ETH)[number % 3],
            source=("reddit", "x", "Reddit")[number % 3 if number < 9 else 0],
            text=(None, "", "to the moon 🚀 \x01 \u2028 </script>")[number % 3],
            score=(-1.0, 0.0, 1.0, 0.3, -0.1)[number % 5],
            timestamp=timestamp,
            extra=EXTRAS[number % len(EXTRAS)],
            created_at=_recorded(number),
        )


def _alerts() -> Iterator[Alert]:
    for number, timestamp in enumerate(TIMES):
        yield Alert(
            id=HUGE if number == 3 else 10 * (number + 1),
            type=("SIGNAL", "TRADE", "SYSTEM")[number % 3],
            message=('"quoted"', "", "line\nbreak", "null")[number % 4],
            is_read=number % 4 == 0,
            timestamp=timestamp,
            created_at=_recorded(number),
        )
