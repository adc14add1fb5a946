"""The context of an evaluation: all rows, and derived values that several fields share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import GraphQLError

from tests.graph.oracle import filters, series
from tests.graph.oracle.pages import Connection, Cursors, Ordering, Position, page
from tests.graph.oracle.records import Cryptocurrency, Prediction, Signal, Trade
from tests.graph.oracle.world import World

# The time that a connection is ordered by; other types are ordered by their primary key.
BY_TIME = {
    "Alert": "timestamp",
    "Prediction": "predicted_at",
    "Sentiment": "timestamp",
    "Signal": "timestamp",
    "Trade": "timestamp",
}
PAGING = {"first", "after", "last", "before"}


class ExpectedError(GraphQLError):
    """An error that the server must return, by its code."""

    def __init__(self, code: str) -> None:
        super().__init__(code, extensions={"code": code})


@dataclass(frozen=True)
class EvaluationContext:
    """The rows of a world, and the cursors that answers have shown so far."""

    world: World
    cursors: Cursors

    def coin(self, key: int) -> Cryptocurrency:
        coin = self.world.get(Cryptocurrency, key)
        assert coin is not None
        return coin

    def length(self, coin: int) -> timedelta:
        return series.LENGTHS[self.coin(coin).base_interval]

    def page(self, rows: Iterable[Any], type_name: str, arguments: dict[str, Any]) -> Connection:
        """One page of the rows. Rows ordered by time are newest first by default."""
        key = BY_TIME.get(type_name)
        newest_first = key is not None and arguments.get("orderBy") != "OLDEST_FIRST"
        paging = {name: arguments[name] for name in PAGING & arguments.keys()}
        return page(rows, Ordering(type_name, key, newest_first), self._position, **paging)

    def predictions(self, arguments: dict[str, Any], **parent: int) -> Connection:
        wanted = arguments.get("filter") or {}
        rows = [row for row in self._of(Prediction, parent) if filters.prediction_meets(self, row, wanted)]
        return self.page(rows, "Prediction", arguments)

    def signals(self, arguments: dict[str, Any], **parent: int) -> Connection:
        wanted = arguments.get("filter") or {}
        rows = [row for row in self._of(Signal, parent) if filters.signal_meets(self, row, wanted)]
        return self.page(rows, "Signal", arguments)

    def trades(self, arguments: dict[str, Any], *, strategy_id: int | None = None, **parent: int) -> Connection:
        wanted = arguments.get("filter") or {}
        rows = [row for row in self._of(Trade, parent) if filters.trade_meets(self, row, wanted)]
        if strategy_id is not None:
            rows = [row for row in rows if self.strategy_of(row) == strategy_id]
        return self.page(rows, "Trade", arguments)

    def strategy_of(self, trade: Trade) -> int | None:
        """A trade belongs to the strategy of its signal."""
        signal = self.world.get(Signal, trade.signal_id)
        return None if signal is None else signal.strategy_id

    def close_at(self, coin: int, at: datetime) -> float | None:
        """The close of the last base candle that had closed by then, at most one base interval before."""
        length = self.length(coin)
        closed = [candle for candle in self.world.candles(coin) if at - length <= candle.open_time + length <= at]
        return closed[-1].close if closed else None

    def status(self, prediction: Prediction) -> str:
        if prediction.actual_price is not None:
            return "SETTLED"
        coin, target = prediction.cryptocurrency_id, prediction.target_at
        has_passed = target <= datetime.now(UTC)
        # A candle is final once later ones are stored. The contract does not say whether one that opens just before the
        # target is late enough, so no prediction of our data depends on it.
        has_later = any(candle.open_time >= target for candle in self.world.candles(coin))
        return "VOID" if has_passed and has_later and self.close_at(coin, target) is None else "PENDING"

    def _of(self, type_: type[Any], parent: dict[str, int]) -> list[Any]:
        return [row for row in self.world.all(type_) if all(getattr(row, key) == id_ for key, id_ in parent.items())]

    def _position(self, cursor: str, ordering: Ordering) -> Position:
        position = self.cursors.positions[cursor]
        if (position.type_name, position.newest_first) != (ordering.type_name, ordering.newest_first):
            raise ExpectedError("INVALID_CURSOR")
        return position
