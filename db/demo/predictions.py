"""The predictions of the models, and their outcomes."""

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
from db.demo.forecasts import View, view_at
from db.demo.models import HORIZONS, MODELS, Model, Outcome
from db.demo.period import HOURS, Period, seeded_random

# Hours between two predictions, by horizon, counted back from the end of the period: the newest are pending.
HOURS_BETWEEN = {1: 3, 4: 6, 24: 12}
# The first predictions are made this many hours before the first stored candle; some of them are void.
LEAD_HOURS = 3


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
    """A row, with the model and the view from which it was made."""

    row: PredictionRow
    model: Model
    horizon: int
    view: View

    @property
    def coin(self) -> Coin:
        return self.view.path.coin

    @property
    def expected_percent(self) -> float:
        return 100 * (self.row.predicted_price / self.view.close - 1)

    @property
    def outcome(self) -> Outcome | None:
        """None if the prediction is not settled, or the last close before it is not stored."""
        row, last = self.row, self.view.close
        if row.actual_price is None or row.error is None or self.view.ago >= HOURS:
            return None
        # Relative to the price, so that moves of different coins are comparable.
        return Outcome(self.horizon, row.predicted_price / last - 1, row.actual_price / last - 1, row.error)


def predict(period: Period, paths: Sequence[Path]) -> list[Prediction]:
    """All predictions, oldest first."""
    numbers = count(1)
    randoms = {
        (path.coin.id, model.id): seeded_random(model.name, path.coin.symbol) for path in paths for model in MODELS
    }
    return [
        _prediction(next(numbers), period, model, horizon, view, randoms[view.path.coin.id, model.id])
        for view, horizon in _views(paths)
        for model in MODELS
    ]


def _views(paths: Sequence[Path]) -> Iterator[tuple[View, int]]:
    for ago in reversed(range(HOURS + LEAD_HOURS + 1)):
        horizons = [horizon for horizon in HORIZONS if ago % HOURS_BETWEEN[horizon] == 0]
        for path in paths if horizons else ():
            view = view_at(path, ago)
            yield from ((view, horizon) for horizon in horizons)


def _prediction(number: int, period: Period, model: Model, horizon: int, view: View, random: Random) -> Prediction:
    forecast = model.forecast(view, horizon, random)
    coin = view.path.coin
    made_at = period.ago(view.ago)
    target = made_at + timedelta(hours=horizon)
    predicted = round(view.close * math.exp(forecast.move), coin.price_digits)
    actual = _actual_price(view, horizon)
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
        # After the candle is stored: settling repeats predictions that were settled before their candle was stored.
        settled_at=None if actual is None else period.after(target, seconds=45),
        created_at=period.after(made_at, seconds=3),
    )
    return Prediction(row, model, horizon, view)


def _actual_price(view: View, horizon: int) -> float | None:
    """The close of the candle that closes at the target (both are on the hour); None if that candle is not stored."""
    ago = view.ago - horizon
    return view.path.close(ago) if 0 <= ago < HOURS else None


def outcomes(predictions: Sequence[Prediction], model: Model) -> list[Outcome]:
    """The outcomes of the settled predictions of a model."""
    return [
        prediction.outcome for prediction in predictions if prediction.model is model and prediction.outcome is not None
    ]
