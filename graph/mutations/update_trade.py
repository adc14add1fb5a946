from decimal import Decimal
from typing import Any

import strawberry

from db.queries import trades
from db.writes import trades as writes
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.trades import Trade, TradeStatus
from graph.types.user_errors import Payload


@strawberry.input(description="What became of a trade.")
class UpdateTradeInput:
    id: strawberry.ID = strawberry.field(description="The trade's id.")
    status: TradeStatus | None = strawberry.field(
        default=None, description="A pending trade becomes EXECUTED or FAILED, and stays it."
    )
    pnl: Decimal | None = strawberry.field(
        default=None, description="Realised profit or loss, after fees, of an executed trade."
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of updateTrade.")
class UpdateTradePayload(Payload):
    trade_id: strawberry.Private[int | None] = None

    @relation(Trade | None, "The trade as it is now.")
    def trade(self: Row, info: Info) -> Rows:
        return trades.by_id(info.context.viewer, self.trade_id)


@mutation("Decide a pending trade of yours, or tell what an executed one earned.", as_viewer=True)
async def update_trade(writing: Writing, given: UpdateTradeInput) -> UpdateTradePayload:
    key: Any = primary_key("Trade", given.id, ["id"])
    status = given.status and given.status.name
    changed = await writes.change(writing.connection, writing.viewer, key, status=status, pnl=given.pnl)
    return UpdateTradePayload(trade_id=changed)
