"""What each model makes of the same view of a market."""

import math
from dataclasses import dataclass
from random import Random
from statistics import NormalDist, fmean
from typing import NamedTuple

from db.demo.candles import Path

# A log return's correlation with what the gradient boosting foresees. For normal returns the direction is then right
# in 1/2 + asin(FORESIGHT) / pi of all cases: 58.5%.
FORESIGHT = 0.264
# The share of the gap to its average that a price is expected to close within each horizon.
REVERSION = {1: 0.04, 4: 0.12, 24: 0.35}
AVERAGE_HOURS = 24
VOLATILITY_HOURS = 48


@dataclass(frozen=True)
class View:
    """What is known of a market at the end of an hour. Returns are logarithmic."""

    path: Path
    ago: int
    close: float
    average: float  # exponentially weighted
    volatility: float  # standard deviation of an hour's return
    return_1h: float
    return_24h: float
    volume_ratio: float  # of the hour to the last day's average


class Forecast(NamedTuple):
    move: float  # log return until the target; 0 takes no side
    confidence: float
    features: dict[str, float]


def look(path: Path, ago: int) -> View:
    # Three times its length: what is older has next to no weight.
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


def repeat_last_price(seen: View, _horizon: int, _random: Random) -> Forecast:
    return Forecast(0.0, 0.5, {"last_close": seen.close})


def revert_to_average(seen: View, horizon: int, _random: Random) -> Forecast:
    gap = math.log(seen.average / seen.close)
    # The wider the gap beside what is usual, the surer; but never sure.
    confidence = 0.5 + 0.12 * math.tanh(abs(gap) / (seen.volatility * math.sqrt(AVERAGE_HOURS)))
    features = {"last_close": seen.close, "ema_24h": round(seen.average, 4), "gap_percent": _percent(gap)}
    return Forecast(REVERSION[horizon] * gap, confidence, features)


def foresee(seen: View, horizon: int, random: Random) -> Forecast:
    """Not a trained model: it looks at the future, through so much noise that it does as well as a good one."""
    spread = seen.volatility * math.sqrt(horizon)
    noise = math.sqrt(1 - FORESIGHT**2)
    future = seen.path.move(seen.ago - horizon, horizon)
    hunch = FORESIGHT * future / spread + random.gauss(0, noise)
    # The chance that the direction is right, given such a hunch.
    confidence = NormalDist().cdf(abs(hunch) * FORESIGHT / noise)
    features = {
        "return_1h_percent": _percent(seen.return_1h),
        "return_24h_percent": _percent(seen.return_24h),
        "volatility_48h_percent": _percent(seen.volatility),
        "volume_ratio": round(seen.volume_ratio, 3),
    }
    return Forecast(FORESIGHT * spread * hunch, confidence, features)


def _percent(move: float) -> float:
    return round(100 * math.expm1(move), 3)
