"""Simulated markets: a random walk whose volatility comes in clusters, and the candles that it leaves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

from db.demo.coins import COINS, Coin
from db.demo.period import HOURS, Period, draws

# Hours simulated but not stored. Models look back on some before the first candle; the newest predictions are made from
# the others, which lie in the future.
BEFORE = 7 * 24
BEYOND = 24

# How much an hour moves beside the day's average, by its number in UTC; measured on real candles of BTC, ETH and SOL.
INTRADAY = (
    *(0.95, 0.82, 0.80, 0.84, 0.80, 0.92, 0.86, 0.82, 0.82, 0.80, 0.96, 1.30),
    *(1.64, 1.27, 1.24, 1.08, 1.04, 1.08, 1.01, 1.06, 0.98, 0.80, 1.03, 1.00),
)
# Of every move, this share is overreaction, and this much of what is left of it is still there an hour later.
OVERREACTION, MEMORY = 0.30, 0.92
# Degrees of freedom of the shocks: fat tails, with a kurtosis near that of real hours.
TAILS = 7
# A Brownian path ranges 1.6 standard deviations; a real hour 1.45.
RANGE = 0.95


class Mood(NamedTuple):
    """A quantity that drifts around zero: a stationary AR(1)."""

    persistence: float
    deviation: float

    def path(self, random: Random, length: int) -> list[float]:
        step = self.deviation * math.sqrt(1 - self.persistence**2)
        level, levels = random.gauss(0, self.deviation), []
        for _ in range(length):
            level = self.persistence * level + random.gauss(0, step)
            levels.append(level)
        return levels


# Logarithms of the market's volatility, of what a coin's own adds to it, and of the eagerness to trade.
MARKET_MOOD = Mood(0.985, 0.42)
COIN_MOOD = Mood(0.95, 0.20)
CROWD = Mood(0.90, 0.40)


class Hour(NamedTuple):
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Path:
    """All simulated hours of a coin. An hour is named by how many hours before the period's end it closed."""

    coin: Coin
    hours: Sequence[Hour]

    def hour(self, ago: int) -> Hour:
        return self.hours[BEFORE + HOURS - 1 - ago]

    def close(self, ago: int) -> float:
        return self.hour(ago).close

    def move(self, ago: int, hours: int) -> float:
        """The log return of the hours that ended then."""
        return math.log(self.close(ago) / self.close(ago + hours))


class CandleRow(NamedTuple):
    id: int
    cryptocurrency_id: int
    timestamp: datetime
    open_price: float
    high_price: float
    low_price: float
    close_price: float
    volume: float
    market_cap: float
    data_source: str
    created_at: datetime


def simulate(period: Period) -> list[Path]:
    """One path for each coin. They differ, but one market moves them all."""
    length = BEFORE + HOURS + BEYOND
    random = draws("market")
    moods = MARKET_MOOD.path(random, length)
    shocks = [_shock(random) for _ in range(length)]
    first = period.ago(HOURS + BEFORE).hour
    activity = [INTRADAY[(first + index) % 24] * math.exp(mood) for index, mood in enumerate(moods)]
    return [_simulate_coin(coin, activity, shocks) for coin in COINS]


def rows(period: Period, paths: Sequence[Path]) -> list[CandleRow]:
    numbers = count(1)
    return [
        _row(next(numbers), path.coin, period, period.ago(ago), path.hour(ago))
        for path in paths
        for ago in reversed(range(HOURS))
    ]


def _row(number: int, coin: Coin, period: Period, closes_at: datetime, hour: Hour) -> CandleRow:
    return CandleRow(
        number,
        coin.id,
        closes_at - timedelta(hours=1),
        *hour,
        market_cap=float(round(hour.close * coin.supply)),
        data_source="demo",
        created_at=period.after(closes_at, seconds=2),
    )


def _simulate_coin(coin: Coin, activity: Sequence[float], shocks: Sequence[float]) -> Path:
    random = draws("coin", coin.symbol)
    # Without the variances in the exponent, volatile moods would raise the average.
    calm = math.exp(-(MARKET_MOOD.deviation**2) - COIN_MOOD.deviation**2)
    volatilities = [
        coin.volatility * calm * busy * math.exp(own)
        for busy, own in zip(activity, COIN_MOOD.path(random, len(activity)), strict=True)
    ]
    closes = _closes(coin, _log_prices(coin, random, volatilities, shocks))
    crowd = CROWD.path(random, len(volatilities))
    return Path(
        coin,
        [
            _hour(coin, random, closes[index], closes[index + 1], volatility, crowd[index])
            for index, volatility in enumerate(volatilities)
        ],
    )


def _log_prices(coin: Coin, random: Random, volatilities: Sequence[float], shocks: Sequence[float]) -> list[float]:
    """One more than there are hours: the first is where the first hour opens."""
    own_share = math.sqrt(1 - coin.market_share**2)
    level, overreaction, levels = 0.0, 0.0, [0.0]
    for volatility, market in zip(volatilities, shocks, strict=True):
        shock = volatility * (coin.market_share * market + own_share * _shock(random))
        level += shock - (1 - MEMORY) * overreaction
        overreaction = MEMORY * overreaction + OVERREACTION * shock
        levels.append(level)
    return levels


def _closes(coin: Coin, levels: Sequence[float]) -> list[float]:
    """Prices, scaled so that the period ends at the coin's price."""
    end = levels[BEFORE + HOURS]
    return [round(coin.price * math.exp(level - end), coin.price_digits) for level in levels]


def _hour(coin: Coin, random: Random, opens: float, closes: float, volatility: float, crowd: float) -> Hour:
    high = _extreme(random, opens, closes, RANGE * volatility, 1)
    low = _extreme(random, opens, closes, RANGE * volatility, -1)
    # Volume follows the range, as it does on real candles (their logarithms correlate by 0.8, with a slope of 1).
    volume = coin.volume * math.log(high / low) / (1.45 * coin.volatility) * math.exp(crowd)
    return Hour(
        opens,
        max(round(high, coin.price_digits), opens, closes),
        min(round(low, coin.price_digits), opens, closes),
        closes,
        round(volume, coin.lot_digits),
    )


def _extreme(random: Random, opens: float, closes: float, deviation: float, side: int) -> float:
    """The highest (side 1) or lowest (-1) price of a Brownian path between two prices.

    Its distribution is known: P(maximum > m) = exp(-2 (m - a) (m - b) / variance) for a path from a to b.
    """
    move = math.log(closes / opens)
    reach = math.sqrt(move**2 - 2 * deviation**2 * math.log(1 - random.random()))
    return opens * math.exp((move + side * reach) / 2)


def _shock(random: Random) -> float:
    """Student's t, scaled to a variance of 1."""
    return random.gauss(0, 1) * math.sqrt((TAILS - 2) / (2 * random.gammavariate(TAILS / 2, 1)))
