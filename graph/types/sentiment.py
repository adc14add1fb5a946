"""The Sentiment type."""

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


@strawberry.type(
    description="Sentiment about a coin in one text, such as a post or an article.", directives=cached(Tier.MEDIUM)
)
class Sentiment(Node):
    source: str = strawberry.field(description='Source of the text, such as "news" or "reddit".')
    text: str | None = strawberry.field(description="The text; null: only the score is stored.")
    score: float = strawberry.field(description="Sentiment score, from -1 (negative) to 1 (positive).")
    timestamp: datetime = strawberry.field(description="Time of the text.")
    extra: JSON | None = strawberry.field(
        description="Further data about the text: an object with any fields; null: none."
    )

    @relation(Annotated["Cryptocurrency", strawberry.lazy("graph.types.cryptocurrencies")], "Coin of the text.")
    def cryptocurrency(self: Row) -> Rows:
        return cryptocurrencies.by_id(self.cryptocurrency_id)
