"""The mutation recordTrade."""

from datetime import UTC, datetime
from decimal import Decimal

import strawberry

from db.queries import trades
from db.writes import trades as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.trades import Trade, TradeSide, TradeStatus
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `recordTrade`.")
class RecordTradeInput:
    symbol: str = strawberry.field(description="Symbol of the coin, such as BTC; case does not matter.")
    side: TradeSide = strawberry.field(description="Whether the coin is bought or sold.")
    price: Decimal = strawberry.field(
        description='Price of one unit of the coin, such as "65000.5": greater than 0, with at most 20 digits before '
        "the decimal point and 18 after it."
    )
    quantity: Decimal = strawberry.field(
        description='Traded units of the coin, such as "0.25": greater than 0, with at most 20 digits before the '
        "decimal point and 18 after it."
    )
    signal_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="Global id of the signal on which the trade is based: one of yours, for the same coin.",
    )
    status: TradeStatus = strawberry.field(default=TradeStatus.PENDING, description="State of the trade.")
    is_paper: bool = strawberry.field(default=True, description="true: a paper trade, without real money.")
    pnl: Decimal | None = strawberry.field(
        default=None,
        description="Realized profit (positive) or loss (negative) after fees, in the currency of the price. Only if "
        "the status is EXECUTED; at most 20 digits before the decimal point and 18 after it.",
    )
    timestamp: datetime | None = strawberry.field(default=None, description="Time of the trade: now by default.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `recordTrade`.")
class RecordTradePayload(Payload):
    trade_id: strawberry.Private[int | None] = None

    @relation(Trade | None, "The new trade; null if there are userErrors.")
    def trade(self: Row, info: Info) -> Rows:
        return trades.by_id(info.context.viewer, self.trade_id)


@mutation("Record a trade. It belongs to the user of its signal, otherwise to you.", enforce_rls=True)
async def record_trade(context: MutationContext, input_: RecordTradeInput) -> RecordTradePayload:
    key = await writes.record(
        context.connection,
        context.viewer,
        await context.owner_id(),
        symbol=input_.symbol,
        side=input_.side.name,
        price=input_.price,
        quantity=input_.quantity,
        signal_id=primary_key("Signal", input_.signal_id, ["signalId"]),
        status=input_.status.name,
        is_paper=input_.is_paper,
        pnl=input_.pnl,
        timestamp=input_.timestamp or datetime.now(UTC),
    )
    return RecordTradePayload(trade_id=key)
