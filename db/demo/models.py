"""Three models of different skill, and their metrics."""

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
    repeat_last_price,
    revert_to_average,
    simulate_boosting,
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
    trained_days_before: int | None  # before the first candle; None: the model is not trained
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
    forecast=simulate_boosting,
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
    """The values of a settled prediction that metrics use. Moves are relative differences to the last known close."""

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
    """The row of a model. Its metrics are computed from the predictions of the demo data, so they can be verified."""
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


def _metrics(directional: Sequence[Outcome]) -> tuple[float | None, float | None, float | None, float]:
    """Accuracy of the direction, precision and recall of "up", and the area under the ROC curve.

    A model that predicts no directions has no accuracy, precision and recall, and the area of a constant: 0.5.
    """
    if not directional:
        return None, None, None, 0.5
    correct = [(outcome.predicted_move > 0) == (outcome.actual_move > 0) for outcome in directional]
    among_predicted_rises = [outcome.actual_move > 0 for outcome in directional if outcome.predicted_move > 0]
    among_actual_rises = [outcome.predicted_move > 0 for outcome in directional if outcome.actual_move > 0]
    return _share(correct), _share(among_predicted_rises), _share(among_actual_rises), _area(directional)


def _area(directional: Sequence[Outcome]) -> float:
    """Area under the ROC curve: the share of pairs of a rise and a fall in which the rise has the higher prediction
    (the U statistic of Mann and Whitney)."""
    ranked = sorted(directional, key=lambda outcome: outcome.predicted_move)
    ranks = [rank for rank, outcome in enumerate(ranked, 1) if outcome.actual_move > 0]
    rises, falls = len(ranks), len(ranked) - len(ranks)
    return round((sum(ranks) - rises * (rises + 1) / 2) / (rises * falls), 4)


def _share(flags: Iterable[bool]) -> float:
    return round(fmean(flags), 4)
