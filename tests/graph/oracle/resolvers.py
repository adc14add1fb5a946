"""The oracle's resolvers. A field without a method here is the attribute of its row with the same name."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from tests.graph.oracle import records
from tests.graph.oracle.context import EvaluationContext, ExpectedError
from tests.graph.oracle.filters import alert_meets, coin_meets, within
from tests.graph.oracle.pages import Connection
from tests.graph.oracle.series import LENGTHS, Bar, Series, bars

# Enough digits for the exact product of two numbers of 38 digits.
EXACT = Context(prec=100)
STALE_AFTER_INTERVALS = 3
MAX_CANDLES = 10_000
RECORDS: dict[str, type[Any]] = {type_.__name__: type_ for type_ in records.TABLES}


@dataclass(frozen=True)
class Fields:
    """The fields of one object. Arguments have their GraphQL names."""

    context: EvaluationContext
    row: Any


class Query(Fields):
    def cryptocurrency(self, symbol: str) -> Any:
        coins = self.context.world.all(records.Cryptocurrency)
        return next((coin for coin in coins if coin.symbol == symbol.upper()), None)

    def cryptocurrencies(self, **arguments: Any) -> Connection:
        wanted = arguments.get("filter") or {}
        coins = [coin for coin in self.context.world.all(records.Cryptocurrency) if coin_meets(coin, wanted)]
        return self.context.page(coins, "Cryptocurrency", arguments)

    def predictions(self, **arguments: Any) -> Connection:
        return self.context.predictions(arguments)

    def signals(self, **arguments: Any) -> Connection:
        return self.context.signals(arguments)

    def trades(self, **arguments: Any) -> Connection:
        return self.context.trades(arguments)

    def alerts(self, **arguments: Any) -> Connection:
        wanted = arguments.get("filter") or {}
        alerts = [alert for alert in self.context.world.all(records.Alert) if alert_meets(alert, wanted)]
        return self.context.page(alerts, "Alert", arguments)

    def strategies(self, **arguments: Any) -> Connection:
        return self.context.page(self.context.world.all(records.Strategy), "Strategy", arguments)

    def models(self, **arguments: Any) -> Connection:
        return self.context.page(self.context.world.all(records.Model), "Model", arguments)

    def model(self, name: str, version: str) -> Any:
        models = self.context.world.all(records.Model)
        return next((model for model in models if (model.name, model.version) == (name, version)), None)

    def node(self, **arguments: Any) -> Any:
        return self._find(arguments["id"])

    def nodes(self, ids: list[str]) -> list[Any]:
        return [self._find(id_) for id_ in ids]

    def health(self) -> EvaluationContext:
        return self.context

    def _find(self, id_: str) -> Any:
        name, _, key = base64.b64decode(id_).decode().partition(":")
        return self.context.world.get(RECORDS[name], int(key))


class Health(Fields):
    def data(self) -> EvaluationContext:
        return self.context


class DataHealth(Fields):
    def newest_candle_at(self) -> datetime | None:
        return max((candle.open_time for candle in self.context.world.all(records.Candle)), default=None)

    def stale(self) -> list[Any]:
        coins = sorted(self.context.world.all(records.Cryptocurrency), key=lambda coin: coin.id)
        return [coin for coin in coins if coin.is_active and self._is_stale(coin)]

    def overdue_predictions(self) -> int:
        """Void ones are left out: see docs/decisions/0006."""
        return sum(map(self._is_overdue, self.context.world.all(records.Prediction)))

    def _is_overdue(self, prediction: records.Prediction) -> bool:
        long_ago = datetime.now(UTC) - self.context.length(prediction.cryptocurrency_id)
        return self.context.status(prediction) == "PENDING" and prediction.target_at < long_ago

    def _is_stale(self, coin: records.Cryptocurrency) -> bool:
        candles, length = self.context.world.candles(coin.id), self.context.length(coin.id)
        closed = [candle.open_time + length for candle in candles]
        return bool(closed) and closed[-1] < datetime.now(UTC) - STALE_AFTER_INTERVALS * length


class Cryptocurrency(Fields):
    def latest(self) -> Bar | None:
        return next(iter(self._bars(self.context.length(self.row.id), last=1)), None)

    def candles(self, **arguments: Any) -> list[Bar]:
        interval = arguments.get("interval")
        base = self.context.length(self.row.id)
        length = base if interval is None else LENGTHS[interval]
        if length < base:
            raise ExpectedError("INTERVAL_TOO_SHORT")
        range_ = {"since": arguments.get("from"), "until": arguments.get("to"), "last": arguments.get("last")}
        found = self._bars(length, **range_)
        if len(found) > MAX_CANDLES and arguments.get("last") is None:
            raise ExpectedError("TOO_MANY_CANDLES")
        return found

    def series(self, **arguments: Any) -> Series:
        return Series(self.candles(**arguments))

    def predictions(self, **arguments: Any) -> Connection:
        return self.context.predictions(arguments, cryptocurrency_id=self.row.id)

    def signals(self, **arguments: Any) -> Connection:
        return self.context.signals(arguments, cryptocurrency_id=self.row.id)

    def trades(self, **arguments: Any) -> Connection:
        return self.context.trades(arguments, cryptocurrency_id=self.row.id)

    def sentiment(self, **arguments: Any) -> Connection:
        source, range_ = arguments.get("source"), arguments.get("timestamp")
        rows = [row for row in self.context.world.all(records.Sentiment) if row.cryptocurrency_id == self.row.id]
        wanted = [row for row in rows if source in (None, row.source) and within(row.timestamp, range_)]
        return self.context.page(wanted, "Sentiment", arguments)

    def _bars(self, length: Any, **range_: Any) -> list[Bar]:
        return bars(self.context.world.candles(self.row.id), length, **range_)


class CandleSeries(Fields):
    def open_time(self) -> list[float]:
        return [bar.open_time.timestamp() for bar in self.row.bars]

    def open(self) -> list[float]:
        return [bar.open for bar in self.row.bars]

    def high(self) -> list[float]:
        return [bar.high for bar in self.row.bars]

    def low(self) -> list[float]:
        return [bar.low for bar in self.row.bars]

    def close(self) -> list[float]:
        return [bar.close for bar in self.row.bars]

    def volume(self) -> list[float]:
        return [bar.volume for bar in self.row.bars]


class OfCoin(Fields):
    def cryptocurrency(self) -> records.Cryptocurrency:
        return self.context.coin(self.row.cryptocurrency_id)


class Sentiment(OfCoin):
    pass


class Prediction(OfCoin):
    def model(self) -> records.Model:
        model = self.context.world.get(records.Model, self.row.model_id)
        assert model is not None
        return model

    def model_name(self) -> str:
        return self.model().name

    def model_version(self) -> str:
        return self.model().version

    def status(self) -> str:
        return self.context.status(self.row)

    def actual(self) -> Any:
        return None if self.row.actual_price is None else self.row

    def signals(self, **arguments: Any) -> Connection:
        return self.context.signals(arguments, prediction_id=self.row.id)


class PredictionActual(Fields):
    def price(self) -> float:
        price: float = self.row.actual_price
        return price

    def error(self) -> float:
        error: float = self.row.predicted_price - self.row.actual_price
        return error

    def direction_correct(self) -> bool | None:
        before = self.context.close_at(self.row.cryptocurrency_id, self.row.predicted_at)
        if before is None or before in (self.row.predicted_price, self.row.actual_price):
            return None
        predicted_rise: bool = self.row.predicted_price > before
        actual_rise: bool = self.row.actual_price > before
        return predicted_rise == actual_rise


class Signal(OfCoin):
    def strategy(self) -> Any:
        return self.context.world.get(records.Strategy, self.row.strategy_id)

    def model(self) -> Any:
        return self.context.world.get(records.Model, self.row.model_id)

    def prediction(self) -> Any:
        return self.context.world.get(records.Prediction, self.row.prediction_id)

    def trades(self, **arguments: Any) -> Connection:
        return self.context.trades(arguments, signal_id=self.row.id)


class Trade(OfCoin):
    def value(self) -> Decimal:
        return EXACT.multiply(self.row.price, self.row.quantity)

    def signal(self) -> Any:
        return self.context.world.get(records.Signal, self.row.signal_id)


class Strategy(Fields):
    def signals(self, **arguments: Any) -> Connection:
        return self.context.signals(arguments, strategy_id=self.row.id)

    def trades(self, **arguments: Any) -> Connection:
        return self.context.trades(arguments, strategy_id=self.row.id)


class Model(Fields):
    def predictions(self, **arguments: Any) -> Connection:
        return self.context.predictions(arguments, model_id=self.row.id)

    def signals(self, **arguments: Any) -> Connection:
        return self.context.signals(arguments, model_id=self.row.id)


TYPES: dict[str, type[Fields]] = {
    type_.__name__: type_
    for type_ in (
        *(Query, Health, DataHealth, Cryptocurrency, CandleSeries, Prediction, PredictionActual),
        *(Signal, Trade, Sentiment, Strategy, Model),
    )
}
