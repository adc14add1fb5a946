"""Alerts of the demo data: signals with high confidence, trades, and events of the system."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from db.demo.coins import COINS
from db.demo.models import GRADIENT_BOOSTING, HORIZONS, MODELS
from db.demo.period import Period, seeded_random
from db.demo.signals import Signal
from db.demo.strategies import USER_ID
from db.demo.trades import Trade

RECENT = timedelta(days=10)
SIGNALS, TRADES = 20, 20
# Alerts older than this are mostly read.
UNREAD = timedelta(days=2)

# Hours before the end of the period, and the message of the event.
SYSTEM = (
    (236, f"The demo data covers {len(COINS)} coins, {len(MODELS)} models and {len(HORIZONS)} horizons."),
    (201, "Backup finished in 41 seconds."),
    (177, "Backup finished in 43 seconds."),
    (150, "Sentiment source twitter limited our requests; some texts were skipped."),
    (120, f"Model {GRADIENT_BOOSTING.name} {GRADIENT_BOOSTING.version} passed its weekly check."),
    (98, "The shared cache was unreachable for 20 seconds; requests were answered from the database."),
    (73, "Backup finished in 44 seconds."),
    (49, "Database maintenance is planned for tomorrow; nothing will be interrupted."),
    (30, "Database maintenance finished; nothing was interrupted."),
    (12, "Sentiment older than 30 days can be cleaned."),
    (3, "All predictions that were due are settled."),
)


class AlertRow(NamedTuple):
    alert_id: int
    user_id: int | None
    alert_type: str
    message: str
    is_read: bool
    timestamp: datetime
    created_at: datetime


class Event(NamedTuple):
    at: datetime
    type: str
    message: str
    user_id: int | None  # None: for everyone


def rows(period: Period, signals: Sequence[Signal], trades: Sequence[Trade]) -> list[AlertRow]:
    """All alerts, oldest first."""
    random = seeded_random("alerts")
    events = [*_signal_events(period, signals), *_trade_events(trades), *_system_events(period)]
    return [
        AlertRow(
            number,
            event.user_id,
            event.type,
            event.message,
            random.random() < (0.85 if period.end - event.at > UNREAD else 0.25),
            event.at,
            event.at,
        )
        for number, event in enumerate(sorted(events, key=lambda event: event.at), 1)
    ]


def _signal_events(period: Period, signals: Sequence[Signal]) -> list[Event]:
    """The signals with the highest confidence of the last days."""
    recent = [
        signal for signal in signals if signal.row.signal_type != "HOLD" and signal.row.timestamp > period.end - RECENT
    ]
    surest = sorted(recent, key=lambda signal: signal.row.confidence, reverse=True)[:SIGNALS]
    return [
        Event(period.after(signal.row.timestamp, seconds=2), "SIGNAL", _signal_message(signal), None)
        for signal in surest
    ]


def _signal_message(signal: Signal) -> str:
    prediction = signal.prediction
    return (
        f"{signal.strategy.name}: {signal.row.signal_type} {prediction.coin.symbol}, "
        f"{prediction.expected_percent:+.2f}% expected within {prediction.horizon} hours "
        f"(confidence {signal.row.confidence:.0%})."
    )


def _trade_events(trades: Sequence[Trade]) -> list[Event]:
    """The newest trades and the last three failures. One in three alerts is for the user of the strategy only."""
    failed = [trade for trade in trades if trade.row.status == "FAILED"][-3:]
    others = [trade for trade in trades if trade.row.status != "FAILED"][len(failed) - TRADES :]
    return [
        Event(_trade_event_time(trade), "TRADE", _trade_message(trade), None if number % 3 else USER_ID)
        for number, trade in enumerate([*failed, *others])
    ]


def _trade_message(trade: Trade) -> str:
    row = trade.row
    order = f"{row.trade_type} {row.quantity} {trade.signal.prediction.coin.symbol} at {row.price}"
    if row.status == "FAILED":
        return f"Paper trade failed: {order} was not filled in time."
    if row.status == "PENDING":
        return f"Paper trade placed: {order} waits to be filled."
    result = "the position is open" if row.pnl is None else f"closed with {row.pnl:+} USD after fees"
    return f"Paper trade executed: {order}, {result}."


def _trade_event_time(trade: Trade) -> datetime:
    """The result of a closed position is known when it is closed; other events have the time of the trade."""
    return trade.row.timestamp if trade.row.pnl is None else trade.signal.prediction.row.target_timestamp


def _system_events(period: Period) -> list[Event]:
    return [Event(period.ago(hours), "SYSTEM", message, None) for hours, message in SYSTEM]
