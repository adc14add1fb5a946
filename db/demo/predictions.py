"""What the models predicted, and what came of it."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple

from db.demo.candles import Path
from db.demo.coins import Coin
from db.demo.forecasts import View, look
from db.demo.models import HORIZONS, MODELS, Model, Outcome
from db.demo.period import HOURS, Period, draws

# Hours between two predictions of a horizon, counted back from the period's end, so that the newest are pending.
EVERY = {1: 3, 4: 6, 24: 12}
# The first predictions were made this many hours before the first stored candle; some of them can never be settled.
LEAD = 3


class PredictionRow(NamedTuple):
    id: int
    cryptocurrency_id: int
    model_id: int
    prediction_timestamp: datetime
    target_timestamp: datetime
    predicted_price: float
    confidence_score: float
    features_used: str
    actual_price: float | None
    error: float | None
    settled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Prediction:
    """A row, and what it was made of."""

    row: PredictionRow
    model: Model
    horizon: int
    seen: View

    @property
    def coin(self) -> Coin:
        return self.seen.path.coin

    @property
    def expected_percent(self) -> float:
        return 100 * (self.row.predicted_price / self.seen.close - 1)

    @property
    def outcome(self) -> Outcome | None:
        """None until settled, and where the last close before it is not stored."""
        row, last = self.row, self.seen.close
        if row.actual_price is None or row.error is None or self.seen.ago >= HOURS:
            return None
        # In shares of the price, so that the moves of different coins compare.
        return Outcome(self.horizon, row.predicted_price / last - 1, row.actual_price / last - 1, row.error)


def predict(period: Period, paths: Sequence[Path]) -> list[Prediction]:
    """All predictions, oldest first."""
    numbers = count(1)
    randoms = {(path.coin.id, model.id): draws(model.name, path.coin.symbol) for path in paths for model in MODELS}
    return [
        _predict(next(numbers), period, model, horizon, seen, randoms[seen.path.coin.id, model.id])
        for seen, horizon in _occasions(paths)
        for model in MODELS
    ]


def _occasions(paths: Sequence[Path]) -> Iterator[tuple[View, int]]:
    for ago in reversed(range(HOURS + LEAD + 1)):
        horizons = [horizon for horizon in HORIZONS if ago % EVERY[horizon] == 0]
        for path in paths if horizons else ():
            seen = look(path, ago)
            yield from ((seen, horizon) for horizon in horizons)


def _predict(number: int, period: Period, model: Model, horizon: int, seen: View, random: Random) -> Prediction:
    forecast = model.forecast(seen, horizon, random)
    coin = seen.path.coin
    made_at = period.ago(seen.ago)
    target = made_at + timedelta(hours=horizon)
    predicted = round(seen.close * math.exp(forecast.move), coin.price_digits)
    actual = _actual(seen, horizon)
    row = PredictionRow(
        number,
        coin.id,
        model.id,
        made_at,
        target,
        predicted,
        round(forecast.confidence, 4),
        json.dumps(forecast.features),
        actual,
        error=None if actual is None else 100 * (predicted - actual) / actual,
        # After the candle was stored: a candle stored later than its predictions were settled would settle them again.
        settled_at=None if actual is None else period.after(target, seconds=45),
        created_at=period.after(made_at, seconds=3),
    )
    return Prediction(row, model, horizon, seen)


def _actual(seen: View, horizon: int) -> float | None:
    """The close of the candle that closes at the target (both are on the hour); None where no such candle is stored."""
    ago = seen.ago - horizon
    return seen.path.close(ago) if 0 <= ago < HOURS else None


def outcomes(predictions: Sequence[Prediction], model: Model) -> list[Outcome]:
    return [
        prediction.outcome for prediction in predictions if prediction.model is model and prediction.outcome is not None
    ]
