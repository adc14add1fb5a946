from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import cryptocurrencies
from graph.compiler.symbols import Row, Rows
from graph.fields import Node, cached, relation

if TYPE_CHECKING:
    from graph.types.cryptocurrencies import Cryptocurrency


@strawberry.type(description="What one source thought of a coin at one time.", directives=cached(Tier.MEDIUM))
class Sentiment(Node):
    source: str = strawberry.field(description="Who said it.")
    text: str | None = strawberry.field(description="What was said.")
    score: float = strawberry.field(description="From -1, fear, to 1, enthusiasm.")
    timestamp: datetime = strawberry.field(description="When it was said.")
    extra: JSON | None = strawberry.field(description="What was noted beside it.")

    @relation(
        Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "The coin that it is about."
    )
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)
