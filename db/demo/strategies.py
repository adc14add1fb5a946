"""The demo user, and three strategies that derive different signals from the same predictions."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from db.demo.forecasts import View
from db.demo.models import GRADIENT_BOOSTING, MEAN_REVERSION, Model
from db.demo.period import Period


class UserRow(NamedTuple):
    user_id: int
    username: str
    email: str
    password_hash: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


class StrategyRow(NamedTuple):
    strategy_id: int
    user_id: int
    name: str
    description: str
    parameters: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """Buys or sells if its model predicts a move beyond the threshold and the second opinion has the same sign."""

    id: int
    name: str
    description: str
    model: Model
    horizon: int  # hours until a position is closed
    every: int  # hours between decisions
    threshold_percent: float
    second_opinion: Callable[[View], float] | None
    notional: int  # USD per trade


STRATEGIES = (
    Strategy(
        id=1,
        name="Momentum",
        description="Follows a predicted move over four hours when it continues the move of the last day.",
        model=GRADIENT_BOOSTING,
        horizon=4,
        every=12,
        threshold_percent=0.15,
        second_opinion=lambda view: view.return_24h,
        notional=1_500,
    ),
    Strategy(
        id=2,
        name="Mean reversion",
        description="Bets for a day that a price far from its 24-hour average returns to it.",
        model=MEAN_REVERSION,
        horizon=24,
        every=24,
        threshold_percent=0.35,
        second_opinion=None,
        notional=1_000,
    ),
    Strategy(
        id=3,
        name="Model consensus",
        description="Trades for a day where gradient boosting and mean reversion expect the same direction.",
        model=GRADIENT_BOOSTING,
        horizon=24,
        every=24,
        threshold_percent=0.30,
        second_opinion=lambda view: view.average - view.close,
        notional=2_500,
    ),
)

USER_ID = 1


def user_rows(period: Period) -> list[UserRow]:
    # "!" is not the hash of any password: the user cannot sign in.
    return [UserRow(USER_ID, "demo", "demo@example.com", "!", True, period.start, period.start)]


def rows(period: Period) -> list[StrategyRow]:
    return [
        StrategyRow(
            strategy.id,
            USER_ID,
            strategy.name,
            strategy.description,
            json.dumps(_parameters(strategy)),
            True,
            period.start,
            period.start,
        )
        for strategy in STRATEGIES
    ]


def _parameters(strategy: Strategy) -> dict[str, object]:
    return {
        "model": strategy.model.name,
        "horizon_hours": strategy.horizon,
        "decide_every_hours": strategy.every,
        "threshold_percent": strategy.threshold_percent,
        "notional_usd": strategy.notional,
    }
