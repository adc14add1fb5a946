"""Three models of different skill, and how well they did."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from statistics import fmean
from typing import Any, NamedTuple

from db.demo.forecasts import (
    AVERAGE_HOURS,
    REVERSION,
    Forecast,
    View,
    foresee,
    repeat_last_price,
    revert_to_average,
)
from db.demo.period import Period

HORIZONS = (1, 4, 24)


@dataclass(frozen=True, kw_only=True)
class Model:
    id: int
    name: str
    version: str
    type: str
    forecast: Callable[[View, int, Random], Forecast]
    trained_days_before: int | None  # before the first candle; None: there is nothing to train
    extra: dict[str, Any]


NAIVE = Model(
    id=1,
    name="naive",
    version="1.0",
    type="baseline",
    forecast=repeat_last_price,
    trained_days_before=None,
    extra={"description": "Repeats the last close. What cannot beat it has learned nothing."},
)
MEAN_REVERSION = Model(
    id=2,
    name="mean-reversion",
    version="1.2",
    type="statistical",
    forecast=revert_to_average,
    trained_days_before=9,
    extra={
        "description": "Expects the price to close part of the gap to its 24-hour exponential average.",
        "average_hours": AVERAGE_HOURS,
        "reversion": {f"{hours}h": share for hours, share in REVERSION.items()},
    },
)
GRADIENT_BOOSTING = Model(
    id=3,
    name="gradient-boosting",
    version="2.1",
    type="ensemble",
    forecast=foresee,
    trained_days_before=2,
    extra={
        "description": "Boosted trees on returns, volatility and volume, one ensemble for each horizon.",
        "trees": 400,
        "max_depth": 5,
        "learning_rate": 0.05,
        "features": ["return_1h_percent", "return_24h_percent", "volatility_48h_percent", "volume_ratio"],
    },
)
MODELS = (NAIVE, MEAN_REVERSION, GRADIENT_BOOSTING)


class Outcome(NamedTuple):
    """A settled prediction, reduced to what a model is judged by. Moves are differences to the last known close."""

    horizon: int
    predicted_move: float
    actual_move: float
    error_percent: float


class ModelRow(NamedTuple):
    id: int
    name: str
    version: str
    model_type: str
    accuracy: float | None
    precision: float | None
    recall: float | None
    auc: float | None
    trained_on: datetime | None
    extra_data: str
    created_at: datetime


def row(model: Model, period: Period, outcomes: Sequence[Outcome]) -> ModelRow:
    """Its metrics are those of the predictions stored beside it, so that anybody can check them."""
    days = model.trained_days_before
    return ModelRow(
        model.id,
        model.name,
        model.version,
        model.type,
        *_metrics([outcome for outcome in outcomes if outcome.predicted_move and outcome.actual_move]),
        trained_on=None if days is None else period.start - timedelta(days=days),
        extra_data=json.dumps({**model.extra, "mean_absolute_error_percent": _errors(outcomes)}),
        created_at=period.start,
    )


def _errors(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return {
        f"{hours}h": round(fmean(abs(outcome.error_percent) for outcome in outcomes if outcome.horizon == hours), 4)
        for hours in HORIZONS
    }


def _metrics(sided: Sequence[Outcome]) -> tuple[float | None, float | None, float | None, float]:
    """Accuracy of the direction, precision and recall of "up", and the area under the ROC curve.

    A model that never takes a side has no direction to be right about; a constant ranks no better than chance.
    """
    if not sided:
        return None, None, None, 0.5
    right = [(outcome.predicted_move > 0) == (outcome.actual_move > 0) for outcome in sided]
    said_up = [outcome.actual_move > 0 for outcome in sided if outcome.predicted_move > 0]
    went_up = [outcome.predicted_move > 0 for outcome in sided if outcome.actual_move > 0]
    return _share(right), _share(said_up), _share(went_up), _area(sided)


def _area(sided: Sequence[Outcome]) -> float:
    """The share of pairs of a rise and a fall in which the rise was ranked higher (Mann and Whitney's U)."""
    ranked = sorted(sided, key=lambda outcome: outcome.predicted_move)
    ranks = [rank for rank, outcome in enumerate(ranked, 1) if outcome.actual_move > 0]
    rises, falls = len(ranks), len(ranked) - len(ranks)
    return round((sum(ranks) - rises * (rises + 1) / 2) / (rises * falls), 4)


def _share(truths: Iterable[bool]) -> float:
    return round(fmean(truths), 4)
