"""The signals that the strategies derive from the predictions."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import NamedTuple

from db.demo.period import HOURS, Period
from db.demo.predictions import Prediction
from db.demo.strategies import STRATEGIES, Strategy


class SignalRow(NamedTuple):
    signal_id: int
    cryptocurrency_id: int
    strategy_id: int
    model_id: int
    prediction_id: int
    signal_type: str
    confidence: float
    timestamp: datetime
    extra_data: str
    created_at: datetime


@dataclass(frozen=True)
class Signal:
    """A row, with the prediction and the strategy from which it was made."""

    row: SignalRow
    prediction: Prediction
    strategy: Strategy


def decide(period: Period, predictions: Sequence[Prediction]) -> list[Signal]:
    """All signals, oldest first."""
    numbers = count(1)
    return [
        Signal(_row(next(numbers), period, prediction, strategy), prediction, strategy)
        for prediction, strategy in _decisions(predictions)
    ]


def _decisions(predictions: Sequence[Prediction]) -> Iterator[tuple[Prediction, Strategy]]:
    for prediction in predictions:
        ago = prediction.view.ago
        for strategy in STRATEGIES:
            matches = prediction.model is strategy.model and prediction.horizon == strategy.horizon
            if matches and ago < HOURS and ago % strategy.every == 0:
                yield prediction, strategy


def _row(number: int, period: Period, prediction: Prediction, strategy: Strategy) -> SignalRow:
    kind, reason = _decide(prediction, strategy)
    made = period.after(prediction.row.prediction_timestamp, seconds=5)
    extra = {
        "expected_return_percent": round(prediction.expected_percent, 3),
        "threshold_percent": strategy.threshold_percent,
        "reason": reason,
    }
    return SignalRow(
        number,
        prediction.row.cryptocurrency_id,
        strategy.id,
        prediction.model.id,
        prediction.row.id,
        kind,
        prediction.row.confidence_score,
        made,
        json.dumps(extra),
        made,
    )


def _decide(prediction: Prediction, strategy: Strategy) -> tuple[str, str]:
    expected = prediction.expected_percent
    if abs(expected) < strategy.threshold_percent:
        return "HOLD", "The expected move is below the threshold."
    if strategy.second_opinion and strategy.second_opinion(prediction.view) * expected <= 0:
        return "HOLD", "The second opinion points the other way."
    return ("BUY", "A rise is expected.") if expected > 0 else ("SELL", "A fall is expected.")
