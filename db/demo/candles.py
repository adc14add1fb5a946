"""Simulated markets: a random walk with volatility clusters, and its candles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

from db.demo.coins import COINS, Coin
from db.demo.period import HOURS, Period, seeded_random

# Hours that are simulated but not stored. Models read those before the first candle as history. Those after the end lie
# in the future; the newest predictions are derived from them.
HOURS_BEFORE = 7 * 24
HOURS_AFTER = 24

# Volatility of each hour of the day in UTC, relative to the average; measured on real candles of BTC, ETH and SOL.
INTRADAY = (
    *(0.95, 0.82, 0.80, 0.84, 0.80, 0.92, 0.86, 0.82, 0.82, 0.80, 0.96, 1.30),
    *(1.64, 1.27, 1.24, 1.08, 1.04, 1.08, 1.01, 1.06, 0.98, 0.80, 1.03, 1.00),
)
# Share of each move that is overreaction, and the share of it that remains an hour later.
OVERREACTION, PERSISTENCE = 0.30, 0.92
# Of the Student's t distribution of the shocks: fat tails, with a kurtosis near that of real hourly returns.
DEGREES_OF_FREEDOM = 7
# The range of a Brownian path is 1.6 standard deviations; that of a real hour is 1.45.
RANGE_FACTOR = 0.95


class Drift(NamedTuple):
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


# Logarithms of the volatility of the market, of the additional volatility of a coin, and of trading activity.
MARKET_VOLATILITY = Drift(0.985, 0.42)
COIN_VOLATILITY = Drift(0.95, 0.20)
TRADING_ACTIVITY = Drift(0.90, 0.40)


class Hour(NamedTuple):
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Path:
    """All simulated hours of a coin. ago: the number of hours from the close of an hour to the end of the period."""

    coin: Coin
    hours: Sequence[Hour]

    def hour(self, ago: int) -> Hour:
        return self.hours[HOURS_BEFORE + HOURS - 1 - ago]

    def close(self, ago: int) -> float:
        return self.hour(ago).close

    def move(self, ago: int, hours: int) -> float:
        """The log return over so many hours, up to the close of that hour."""
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
    """One path for each coin. All paths have a common market component."""
    length = HOURS_BEFORE + HOURS + HOURS_AFTER
    random = seeded_random("market")
    drifts = MARKET_VOLATILITY.path(random, length)
    shocks = [_shock(random) for _ in range(length)]
    first = period.ago(HOURS + HOURS_BEFORE).hour
    activity = [INTRADAY[(first + index) % 24] * math.exp(drift) for index, drift in enumerate(drifts)]
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
    random = seeded_random("coin", coin.symbol)
    # Keeps the average volatility: the mean of exp(x) grows with the variance of x.
    correction = math.exp(-(MARKET_VOLATILITY.deviation**2) - COIN_VOLATILITY.deviation**2)
    volatilities = [
        coin.volatility * correction * market * math.exp(extra)
        for market, extra in zip(activity, COIN_VOLATILITY.path(random, len(activity)), strict=True)
    ]
    closes = _closes(coin, _log_prices(coin, random, volatilities, shocks))
    trading_activity = TRADING_ACTIVITY.path(random, len(volatilities))
    return Path(
        coin,
        [
            _hour(coin, random, closes[index], closes[index + 1], volatility, trading_activity[index])
            for index, volatility in enumerate(volatilities)
        ],
    )


def _log_prices(coin: Coin, random: Random, volatilities: Sequence[float], shocks: Sequence[float]) -> list[float]:
    """Log prices: the open of the first hour, then the close of each hour."""
    own_share = math.sqrt(1 - coin.market_share**2)
    level, overreaction, levels = 0.0, 0.0, [0.0]
    for volatility, market in zip(volatilities, shocks, strict=True):
        shock = volatility * (coin.market_share * market + own_share * _shock(random))
        level += shock - (1 - PERSISTENCE) * overreaction
        overreaction = PERSISTENCE * overreaction + OVERREACTION * shock
        levels.append(level)
    return levels


def _closes(coin: Coin, levels: Sequence[float]) -> list[float]:
    """Prices, scaled so that the period ends at the price of the coin."""
    end = levels[HOURS_BEFORE + HOURS]
    return [round(coin.price * math.exp(level - end), coin.price_digits) for level in levels]


def _hour(coin: Coin, random: Random, opens: float, closes: float, volatility: float, trading_activity: float) -> Hour:
    high = _extreme(random, opens, closes, RANGE_FACTOR * volatility, 1)
    low = _extreme(random, opens, closes, RANGE_FACTOR * volatility, -1)
    # Volume is proportional to the range, as on real candles (their logarithms correlate by 0.8, with a slope of 1).
    volume = coin.volume * math.log(high / low) / (1.45 * coin.volatility) * math.exp(trading_activity)
    return Hour(
        opens,
        max(round(high, coin.price_digits), opens, closes),
        min(round(low, coin.price_digits), opens, closes),
        closes,
        round(volume, coin.lot_digits),
    )


def _extreme(random: Random, opens: float, closes: float, deviation: float, side: int) -> float:
    """The highest (side 1) or lowest (side -1) price of a Brownian path between two prices.

    Drawn from its distribution: P(maximum > m) = exp(-2 (m - a) (m - b) / variance) for a path from a to b.
    """
    move = math.log(closes / opens)
    reach = math.sqrt(move**2 - 2 * deviation**2 * math.log(1 - random.random()))
    return opens * math.exp((move + side * reach) / 2)


def _shock(random: Random) -> float:
    """A sample of Student's t distribution, scaled to a variance of 1."""
    return random.gauss(0, 1) * math.sqrt(
        (DEGREES_OF_FREEDOM - 2) / (2 * random.gammavariate(DEGREES_OF_FREEDOM / 2, 1))
    )
