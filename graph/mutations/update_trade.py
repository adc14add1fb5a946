"""The mutation updateTrade."""

from decimal import Decimal
from typing import Any

import strawberry

from db.queries import trades
from db.writes import trades as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.trades import Trade, TradeStatus
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `updateTrade`. Fields that are left out or null keep their values.")
class UpdateTradeInput:
    id: strawberry.ID = strawberry.field(description="Global id of the trade to change.")
    status: TradeStatus | None = strawberry.field(
        default=None, description="New state: EXECUTED or FAILED, if the trade is PENDING. Both are final."
    )
    pnl: Decimal | None = strawberry.field(
        default=None,
        description="Realized profit (positive) or loss (negative) after fees, in the currency of the price. Only if "
        "the trade is EXECUTED; at most 20 digits before the decimal point and 18 after it.",
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `updateTrade`.")
class UpdateTradePayload(Payload):
    trade_id: strawberry.Private[int | None] = None

    @relation(Trade | None, "The trade after the change; null if there are userErrors.")
    def trade(self: Row, info: Info) -> Rows:
        return trades.by_id(info.context.viewer, self.trade_id)


@mutation(
    "Set the final state of one of your pending trades, or the profit or loss of an executed one.", enforce_rls=True
)
async def update_trade(context: MutationContext, input_: UpdateTradeInput) -> UpdateTradePayload:
    key: Any = primary_key("Trade", input_.id, ["id"])
    status = input_.status and input_.status.name
    changed = await writes.change(context.connection, context.viewer, key, status=status, pnl=input_.pnl)
    return UpdateTradePayload(trade_id=changed)
