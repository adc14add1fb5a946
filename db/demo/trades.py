"""Paper trades: what following the signals would have earned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from random import Random
from typing import NamedTuple

from db.demo.period import Period, draws
from db.demo.signals import Signal

# A share of what was bought or sold, paid when a position is opened and again when it is closed.
FEE = Decimal("0.0004")
# The usual distance to the last close at which an order is filled, as a share; mostly to one's disadvantage.
SLIPPAGE = 0.0002
FAILURES = 0.03
# The newest orders wait to be filled.
WAITING = 4


class TradeRow(NamedTuple):
    trade_id: int
    cryptocurrency_id: int
    signal_id: int
    trade_type: str
    price: Decimal
    quantity: Decimal
    status: str
    is_paper_trade: bool
    pnl: Decimal | None
    timestamp: datetime
    created_at: datetime


@dataclass(frozen=True)
class Trade:
    """A row, and the signal that it followed."""

    row: TradeRow
    signal: Signal


def follow(period: Period, signals: Sequence[Signal]) -> list[Trade]:
    """All trades, in the order of their signals."""
    random = draws("trades")
    followed = [signal for signal in signals if signal.row.signal_type != "HOLD"]
    waiting = len(followed) - WAITING
    return [
        Trade(_row(number, period, signal, _status(random, number > waiting), random), signal)
        for number, signal in enumerate(followed, 1)
    ]


def _status(random: Random, is_newest: bool) -> str:
    failed = random.random() < FAILURES
    if is_newest:
        return "PENDING"
    return "FAILED" if failed else "EXECUTED"


def _row(number: int, period: Period, signal: Signal, status: str, random: Random) -> TradeRow:
    coin = signal.prediction.coin
    side = 1 if signal.row.signal_type == "BUY" else -1
    slippage = side * random.gauss(SLIPPAGE, SLIPPAGE)
    price = _decimal(signal.prediction.seen.close * (1 + slippage), coin.price_digits)
    quantity = (signal.strategy.notional / price).quantize(Decimal(1).scaleb(-coin.lot_digits), ROUND_DOWN)
    ordered = period.after(signal.row.timestamp, seconds=random.randint(1, 20))
    return TradeRow(
        number,
        coin.id,
        signal.row.signal_id,
        signal.row.signal_type,
        price,
        quantity,
        status,
        is_paper_trade=True,
        pnl=_pnl(signal, side, price, quantity) if status == "EXECUTED" else None,
        timestamp=ordered,
        created_at=ordered,
    )


def _pnl(signal: Signal, side: int, price: Decimal, quantity: Decimal) -> Decimal | None:
    """In dollars, after fees; the position is closed when the prediction's target is reached. None while it is open."""
    actual = signal.prediction.row.actual_price
    if actual is None:
        return None
    closed_at = _decimal(actual, signal.prediction.coin.price_digits)
    gain = side * (closed_at - price) - FEE * (price + closed_at)
    return (gain * quantity).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _decimal(price: float, digits: int) -> Decimal:
    """The shortest decimal, not the float's binary expansion."""
    return Decimal(f"{price:.{digits}f}")
