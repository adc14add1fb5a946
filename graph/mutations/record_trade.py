from datetime import UTC, datetime
from decimal import Decimal

import strawberry

from db.queries import trades
from db.writes import trades as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.trades import Trade, TradeSide, TradeStatus
from graph.types.user_errors import Payload


@strawberry.input(description="A trade to record.")
class RecordTradeInput:
    symbol: str = strawberry.field(description="The symbol of the coin that is traded, in any case.")
    side: TradeSide = strawberry.field(description="Which way it goes.")
    price: Decimal = strawberry.field(description="The price of one unit of the coin: more than 0.")
    quantity: Decimal = strawberry.field(description="Units of the coin: more than 0.")
    signal_id: strawberry.ID | None = strawberry.field(default=None, description="The signal of yours that it follows.")
    status: TradeStatus = strawberry.field(default=TradeStatus.PENDING, description="What became of it so far.")
    is_paper: bool = strawberry.field(default=True, description="Whether it is made on paper only.")
    pnl: Decimal | None = strawberry.field(
        default=None, description="Realised profit or loss, after fees, of an executed trade."
    )
    timestamp: datetime | None = strawberry.field(default=None, description="When it was made: now by default.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of recordTrade.")
class RecordTradePayload(Payload):
    trade_id: strawberry.Private[int | None] = None

    @relation(Trade | None, "The new trade.")
    def trade(self: Row, info: Info) -> Rows:
        return trades.by_id(info.context.viewer, self.trade_id)


@mutation("Record a trade, which is yours.", as_viewer=True)
async def record_trade(writing: Writing, given: RecordTradeInput) -> RecordTradePayload:
    key = await writes.record(
        writing.connection,
        writing.viewer,
        await writing.owner(),
        symbol=given.symbol,
        side=given.side.name,
        price=given.price,
        quantity=given.quantity,
        signal_id=primary_key("Signal", given.signal_id, ["signalId"]),
        status=given.status.name,
        is_paper=given.is_paper,
        pnl=given.pnl,
        timestamp=given.timestamp or datetime.now(UTC),
    )
    return RecordTradePayload(trade_id=key)
