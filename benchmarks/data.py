"""Benchmark data: computed by PostgreSQL from hashes and sines, so that every run has the same rows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

END = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = 26_250
DAYS_OF_MINUTES = 730
PREDICTIONS = 2_000
# Rows per INSERT statement; progress is shown between statements.
CHUNK = 200_000

SYMBOLS = [
    *("BTC", "ETH", "BNB", "SOL", "ADA", "XRP", "DOGE", "DOT", "AVAX", "LINK"),
    *("LTC", "UNI", "ATOM", "XLM", "NEAR", "APT", "ARB", "OP", "FIL", "INJ"),
]
MINUTES_SYMBOL = "XBT"

# Called with the name of the current step, and the completed share from 0 to 1.
Progress = Callable[[str, float], None]


class Candles(NamedTuple):
    """Candles of some coins, inserted in the order of their open time, as a live feed would store them."""

    interval: str
    step: timedelta
    per_coin: int
    coins: int

    def chunks(self) -> Iterator[tuple[datetime, datetime]]:
        """Half-open ranges of open times, oldest first."""
        size = max(1, CHUNK // self.coins)
        for done in range(0, self.per_coin, size):
            first = END - self.step * (self.per_coin - done)
            yield first, first + self.step * min(size, self.per_coin - done)


class Content(NamedTuple):
    """Content of a database. with_signals: also predictions, signals and trades."""

    name: str
    coins: dict[str, str]  # symbol: base interval
    with_signals: bool = False


def _minutes(name: str, coins: int) -> Content:
    return Content(name, dict.fromkeys((MINUTES_SYMBOL, *SYMBOLS)[:coins], "M1"))


FULL = Content("bench", {**dict.fromkeys(SYMBOLS, "H1"), MINUTES_SYMBOL: "M1"}, with_signals=True)
# Two years of minute candles of one coin are a million rows; of ten coins, ten million.
ONE_MILLION = _minutes("bench_1m", 1)
TEN_MILLION = _minutes("bench_10m", 10)


def candles_of(content: Content, *, hours: int = HOURS, days: int = DAYS_OF_MINUTES) -> list[Candles]:
    intervals = list(content.coins.values())
    series = [
        Candles("H1", timedelta(hours=1), hours, intervals.count("H1")),
        Candles("M1", timedelta(minutes=1), days * 24 * 60, intervals.count("M1")),
    ]
    return [candles for candles in series if candles.coins]


async def load(
    connection: Any,
    content: Content,
    progress: Progress,
    *,
    hours: int = HOURS,
    days: int = DAYS_OF_MINUTES,
    predictions: int = PREDICTIONS,
) -> None:
    """Fill a migrated, empty database through an asyncpg connection."""
    await connection.execute(_FUNCTIONS)
    rows = [(number, symbol, interval) for number, (symbol, interval) in enumerate(content.coins.items(), 1)]
    await connection.executemany(_COIN, rows)
    for candles in candles_of(content, hours=hours, days=days):
        chunks = list(candles.chunks())
        for number, (first, end) in enumerate(chunks):
            progress(f"{candles.interval} candles", number / len(chunks))
            await connection.execute(_CANDLES, candles.interval, candles.step, first, end, timeout=600)
    if content.with_signals:
        progress("predictions, signals, trades", 0)
        await connection.execute(_SIGNALS.format(predictions=predictions, end=END.isoformat()))
    progress("vacuum", 0)
    await connection.execute("DROP FUNCTION bench_noise, bench_price")
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)


_COIN = """
INSERT INTO cryptocurrencies (id, symbol, name, base_interval, created_at, updated_at)
VALUES ($1, $2::text, initcap($2::text), $3, '2023-01-01Z', '2023-01-01Z')
"""

_FUNCTIONS = """
CREATE FUNCTION bench_noise(seed bigint, number bigint) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashint8extended(number, seed) & 1048575) / 1048575.0::float8 $$;

-- Price of a coin at a time in hours: slow and fast waves, and a little noise.
CREATE FUNCTION bench_price(coin bigint, hour double precision) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT round(600000000 / (coin * coin) * exp(
     0.30 * sin(hour / 2900 + coin) + 0.09 * sin(hour / 310 + 2 * coin) + 0.02 * sin(hour / 17 + 3 * coin)
     + 0.006 * bench_noise(coin, (hour * 60)::bigint))) / 10000 $$;
"""

# Volumes are multiples of 1/8: their sums are exact in any order, so all servers must return the same digits.
# OFFSET 0 keeps the planner from repeating the formula of a price at each use of the price.
_CANDLES = """
INSERT INTO market_data (cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume,
                         data_source, created_at)
SELECT coin.id, open_time, open, ceil(greatest(open, close) * (10000 + 20 * rise)) / 10000,
       floor(least(open, close) * (10000 - 20 * fall)) / 10000, close,
       round(coin.id * 4000 * (0.2 + rise + fall)) / 8, 'bench', open_time + $2
FROM generate_series($3, $4::timestamptz - $2::interval, $2) AS open_time
CROSS JOIN cryptocurrencies AS coin
CROSS JOIN LATERAL (SELECT extract(epoch FROM open_time)::float8 / 3600 AS hour,
                           extract(epoch FROM $2)::float8 / 3600 AS length OFFSET 0) AS time
CROSS JOIN LATERAL (SELECT bench_price(coin.id, hour) AS open, bench_price(coin.id, hour + length) AS close,
                           bench_noise(coin.id + 100, (hour * 60)::bigint) AS rise,
                           bench_noise(coin.id + 200, (hour * 60)::bigint) AS fall OFFSET 0) AS price
WHERE coin.base_interval = $1
ORDER BY open_time, coin.id
"""

# Each coin has the same number of predictions, all settled; a signal for every other prediction; two trades per signal.
_SIGNALS = """
INSERT INTO models (id, name, version) VALUES (1, 'naive', '1.0'), (2, 'trend', '1.2'), (3, 'boosting', '2.1');

INSERT INTO predictions (cryptocurrency_id, model_id, prediction_timestamp, target_timestamp, predicted_price,
                         confidence_score, actual_price, error, settled_at, created_at)
SELECT coin.id, 1 + number % 3, predicted_at, target_at, predicted, round(noise::numeric, 4), actual,
       100 * (predicted - actual) / actual, target_at, predicted_at
FROM generate_series({predictions}, 1, -1) AS number
CROSS JOIN cryptocurrencies AS coin
CROSS JOIN LATERAL (SELECT timestamptz '{end}' - number * interval '12 hours' AS predicted_at,
                           bench_noise(coin.id + 300, number) AS noise) AS time
CROSS JOIN LATERAL (SELECT predicted_at + interval '12 hours' AS target_at,
                           bench_price(coin.id, extract(epoch FROM predicted_at)::float8 / 3600 + 12) AS actual
) AS price
CROSS JOIN LATERAL (SELECT round((actual * (0.98 + 0.04 * noise))::numeric, 4)::float8 AS predicted) AS forecast
ORDER BY number DESC, coin.id;

INSERT INTO signals (cryptocurrency_id, model_id, prediction_id, signal_type, confidence, timestamp, created_at)
SELECT cryptocurrency_id, model_id, id,
       CASE WHEN confidence_score > 0.6 THEN 'BUY' WHEN confidence_score < 0.4 THEN 'SELL' ELSE 'HOLD' END,
       confidence_score, prediction_timestamp, prediction_timestamp
FROM predictions
WHERE extract(hour FROM prediction_timestamp AT TIME ZONE 'UTC') = 0
ORDER BY prediction_timestamp, cryptocurrency_id;

INSERT INTO trades (cryptocurrency_id, signal_id, trade_type, price, quantity, status, timestamp, created_at)
SELECT cryptocurrency_id, signal_id, side, round(bench_price(cryptocurrency_id, hour + delay)::numeric, 4),
       round((1 + bench_noise(cryptocurrency_id + 400, signal_id))::numeric, 5), 'EXECUTED', traded_at, traded_at
FROM signals
CROSS JOIN (VALUES ('BUY', 1), ('SELL', 6)) AS leg (side, delay)
CROSS JOIN LATERAL (SELECT timestamp + delay * interval '1 hour' AS traded_at,
                           extract(epoch FROM timestamp)::float8 / 3600 AS hour) AS time
ORDER BY timestamp, signal_id, delay;
"""
