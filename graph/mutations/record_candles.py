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
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.candles import Interval
from graph.types.cryptocurrencies import Cryptocurrency
from graph.types.user_errors import Payload


@strawberry.input(description="A candle to record.")
class CandleInput:
    open_time: datetime = strawberry.field(description="When its interval begins: a UTC boundary, not in the future.")
    open: float = strawberry.field(description="The first price.")
    high: float = strawberry.field(description="The highest price.")
    low: float = strawberry.field(description="The lowest price.")
    close: float = strawberry.field(description="The last price.")
    volume: float = strawberry.field(description="What was traded, in units of the coin.")
    market_cap: float | None = strawberry.field(default=None, description="Price times supply; null: not known.")


def _row(_: type, given: Mapping[str, Any], __: object) -> CandleRow:
    """What is written of a candle. Of ten thousand, Strawberry would make objects at several times the cost."""
    opened, high, low, close = given["open"], given["high"], given["low"], given["close"]
    return CandleRow(given["openTime"], opened, high, low, close, given["volume"], given.get("marketCap"))


get_object_definition(CandleInput, strict=True).from_input = _row


@strawberry.input(description="Candles to record.")
class RecordCandlesInput:
    symbol: str = strawberry.field(description="The symbol of their coin, in any case.")
    candles: list[CandleInput] = strawberry.field(description="1 to 10,000 candles, in any order.")
    interval: Interval | None = strawberry.field(
        default=None, description="Their length, to make sure: the baseInterval of the coin."
    )
    source: str = strawberry.field(default="api", description="Where they come from: 1 to 50 characters.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of recordCandles.")
class RecordCandlesPayload(Payload):
    inserted: int = strawberry.field(default=0, description="Candles that are new.")
    updated: int = strawberry.field(default=0, description="Candles that were stored, and differ now.")
    unchanged: int = strawberry.field(default=0, description="Candles that were stored as they are.")
    settled: int = strawberry.field(default=0, description="Predictions that have an actual price now, or another one.")
    cryptocurrency_id: strawberry.Private[int | None] = None

    @relation(Cryptocurrency | None, "Their coin.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)


@mutation("Record candles of a coin, all or none; stored ones are updated. Predictions that they decide are settled.")
async def record_candles(writing: Writing, given: RecordCandlesInput) -> RecordCandlesPayload:
    recorded = await writes.record(
        writing.connection,
        symbol=given.symbol,
        interval=given.interval and given.interval.name,
        source=given.source,
        candles=cast("list[CandleRow]", given.candles),
    )
    return RecordCandlesPayload(**recorded._asdict())
