"""The mutation recordCandles."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import strawberry
from strawberry.types.base import get_object_definition

from db.candle_csv import CandleRow
from db.queries import cryptocurrencies
from db.writes import candles as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.candles import Interval
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(
    description="One candle of the input of `recordCandles`. Of its prices, high is the highest and low the lowest."
)
class CandleInput:
    open_time: datetime = strawberry.field(
        description="Start of the interval: a multiple of baseInterval in UTC, not in the future."
    )
    open: float = strawberry.field(description="First price of the interval: not negative.")
    high: float = strawberry.field(description="Highest price of the interval: not negative.")
    low: float = strawberry.field(description="Lowest price of the interval: not negative.")
    close: float = strawberry.field(description="Last price of the interval: not negative.")
    volume: float = strawberry.field(description="Traded volume in units of the coin: not negative.")
    market_cap: float | None = strawberry.field(
        default=None,
        description="Price times supply at the close: not negative; null: unknown, and a stored value stays unchanged.",
    )


def _candle_row(_: type, values: Mapping[str, Any], __: object) -> CandleRow:
    """The row of a candle, from its input values.

    For 10,000 candles, it takes Strawberry several times as long to create an object of the input type for each.
    """
    open_, high, low, close = values["open"], values["high"], values["low"], values["close"]
    return CandleRow(values["openTime"], open_, high, low, close, values["volume"], values.get("marketCap"))


get_object_definition(CandleInput, strict=True).from_input = _candle_row


@strawberry.input(description="Input of `recordCandles`.")
class RecordCandlesInput:
    symbol: str = strawberry.field(description="Symbol of the coin, such as BTC; case does not matter.")
    candles: list[CandleInput] = strawberry.field(
        description="1 to 10,000 candles in any order, each with another openTime."
    )
    interval: Interval | None = strawberry.field(
        default=None,
        description="Length of the candles, as a check: it is an error if this is not the baseInterval of the coin.",
    )
    source: str = strawberry.field(default="api", description="Source of the candles: 1 to 50 characters.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `recordCandles`.")
class RecordCandlesPayload(Payload):
    inserted: int = strawberry.field(default=0, description="Number of new candles.")
    updated: int = strawberry.field(default=0, description="Number of stored candles that were changed.")
    unchanged: int = strawberry.field(default=0, description="Number of candles that were stored already, unchanged.")
    settled: int = strawberry.field(
        default=0, description="Number of predictions whose actual price was set or changed by these candles."
    )
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "Coin of the candles; null if there are userErrors.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation(
    "Insert or update candles of a coin. If one candle is invalid, none is written. Predictions whose actual price "
    "becomes known are settled."
)
async def record_candles(context: MutationContext, input_: RecordCandlesInput) -> RecordCandlesPayload:
    recorded = await writes.record(
        context.connection,
        symbol=input_.symbol,
        interval=input_.interval and input_.interval.name,
        source=input_.source,
        candles=cast("list[CandleRow]", input_.candles),
    )
    return RecordCandlesPayload(**recorded._asdict())
