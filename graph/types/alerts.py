from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from cache.tiers import Tier
from graph.fields import Node, TimeRange, cached_private, time_span


@strawberry.enum(description="What an alert is about.")
class AlertType(Enum):
    SIGNAL = strawberry.enum_value("SIGNAL", description="A signal was given.")
    TRADE = strawberry.enum_value("TRADE", description="Something became of a trade.")
    SYSTEM = strawberry.enum_value("SYSTEM", description="Something about the server or its data.")


@strawberry.input(description="Narrows alerts: an alert must meet everything that is given.")
class AlertFilter:
    types: list[AlertType] | None = strawberry.field(default=None, description="Of one of these types.")
    is_read: bool | None = strawberry.field(default=None, description="Read, or not yet.")
    timestamp: TimeRange | None = strawberry.field(default=None, description="Raised within this range.")

    def criteria(self) -> dict[str, Any]:
        return {
            "types": self.types and [type_.name for type_ in self.types],
            "is_read": self.is_read,
            "timestamp": time_span(self.timestamp, ["filter", "timestamp"]),
        }


AlertFilterArgument = Annotated[
    AlertFilter | None, strawberry.argument(name="filter", description="Only the alerts that meet it.")
]


@strawberry.type(description="Something that somebody should know.", directives=cached_private(Tier.SHORT))
class Alert(Node):
    type: AlertType = strawberry.field(description="What it is about.")
    message: str = strawberry.field(description="What happened, in words.")
    is_read: bool = strawberry.field(description="Whether it has been read.")
    timestamp: datetime = strawberry.field(description="When it happened.")
    created_at: datetime = strawberry.field(description="When it was recorded.")
