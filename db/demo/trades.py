"""Paper trades based on the signals, and their profits and losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from random import Random
from typing import NamedTuple

from db.demo.period import Period, seeded_random
from db.demo.signals import Signal

# Share of the value of a trade, paid when a position is opened and again when it is closed.
FEE = Decimal("0.0004")
# Mean and standard deviation of the distance between the price of a trade and the last close, as a share of the price;
# mostly to the disadvantage of the trader.
SLIPPAGE = 0.0002
FAILURE_RATE = 0.03
# Number of newest trades that are pending.
PENDING_TRADES = 4


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
    """A row, and the signal on which it is based."""

    row: TradeRow
    signal: Signal


def follow(period: Period, signals: Sequence[Signal]) -> list[Trade]:
    """All trades, in the order of their signals."""
    random = seeded_random("trades")
    followed = [signal for signal in signals if signal.row.signal_type != "HOLD"]
    waiting = len(followed) - PENDING_TRADES
    return [
        Trade(_row(number, period, signal, _status(random, number > waiting), random), signal)
        for number, signal in enumerate(followed, 1)
    ]


def _status(random: Random, is_newest: bool) -> str:
    failed = random.random() < FAILURE_RATE
    if is_newest:
        return "PENDING"
    return "FAILED" if failed else "EXECUTED"


def _row(number: int, period: Period, signal: Signal, status: str, random: Random) -> TradeRow:
    coin = signal.prediction.coin
    side = 1 if signal.row.signal_type == "BUY" else -1
    slippage = side * random.gauss(SLIPPAGE, SLIPPAGE)
    price = _decimal(signal.prediction.view.close * (1 + slippage), coin.price_digits)
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
    """Profit or loss in USD, after fees. The position is closed at the target of the prediction; None: it is open."""
    actual = signal.prediction.row.actual_price
    if actual is None:
        return None
    closed_at = _decimal(actual, signal.prediction.coin.price_digits)
    gain = side * (closed_at - price) - FEE * (price + closed_at)
    return (gain * quantity).quantize(Decimal("0.01"), ROUND_HALF_UP)


def _decimal(price: float, digits: int) -> Decimal:
    """The shortest decimal, not the float's binary expansion."""
    return Decimal(f"{price:.{digits}f}")
