"""The forecasts of the three models, from the same view of a market."""

import math
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean
from typing import NamedTuple

from db.demo.candles import Path

# Correlation of a log return with the forecast of gradient boosting. For normal returns, the direction is then right in
# 1/2 + asin(SKILL) / pi of all cases: 58.5%.
SKILL = 0.264
# Share of the gap to its average that a price is expected to close within each horizon.
REVERSION = {1: 0.04, 4: 0.12, 24: 0.35}
AVERAGE_HOURS = 24
VOLATILITY_HOURS = 48


@dataclass(frozen=True)
class View:
    """The data of a market that is known at the end of an hour. Returns are logarithmic."""

    path: Path
    ago: int
    close: float
    average: float  # exponentially weighted
    volatility: float  # standard deviation of an hour's return
    return_1h: float
    return_24h: float
    volume_ratio: float  # volume of the hour divided by the average of the last 24


class Forecast(NamedTuple):
    move: float  # log return until the target; 0: no direction
    confidence: float
    features: dict[str, float]


def view_at(path: Path, ago: int) -> View:
    # Three times the length of the average: older closes have almost no weight.
    closes = [path.close(earlier) for earlier in reversed(range(ago, ago + 3 * AVERAGE_HOURS))]
    average = closes[0]
    for close in closes:
        average += (close - average) * 2 / (AVERAGE_HOURS + 1)
    moves = [path.move(earlier, 1) for earlier in range(ago, ago + VOLATILITY_HOURS)]
    volume = fmean(path.hour(earlier).volume for earlier in range(ago, ago + 24))
    return View(
        path,
        ago,
        closes[-1],
        average,
        math.sqrt(fmean(move * move for move in moves)),
        moves[0],
        path.move(ago, 24),
        path.hour(ago).volume / volume,
    )


def repeat_last_price(view: View, _horizon: int, _random: Random) -> Forecast:
    return Forecast(0.0, 0.5, {"last_close": view.close})


def revert_to_average(view: View, horizon: int, _random: Random) -> Forecast:
    gap = math.log(view.average / view.close)
    # Confidence grows with the gap, relative to the usual volatility, up to 0.62.
    confidence = 0.5 + 0.12 * math.tanh(abs(gap) / (view.volatility * math.sqrt(AVERAGE_HOURS)))
    features = {"last_close": view.close, "ema_24h": round(view.average, 4), "gap_percent": _percent(gap)}
    return Forecast(REVERSION[horizon] * gap, confidence, features)


def simulate_boosting(view: View, horizon: int, random: Random) -> Forecast:
    """Simulates a trained model: the future return, plus as much noise as gives the skill of a good model."""
    spread = view.volatility * math.sqrt(horizon)
    noise = math.sqrt(1 - SKILL**2)
    future = view.path.move(view.ago - horizon, horizon)
    signal = SKILL * future / spread + random.gauss(0, noise)
    # The probability that the direction is right, given this signal.
    confidence = NormalDist().cdf(abs(signal) * SKILL / noise)
    features = {
        "return_1h_percent": _percent(view.return_1h),
        "return_24h_percent": _percent(view.return_24h),
        "volatility_48h_percent": _percent(view.volatility),
        "volume_ratio": round(view.volume_ratio, 3),
    }
    return Forecast(SKILL * spread * signal, confidence, features)


def _percent(move: float) -> float:
    return round(100 * math.expm1(move), 3)
