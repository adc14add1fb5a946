"""The Alert type and its filter."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from cache.tiers import Tier
from graph.fields import Node, TimeRange, cached_private, time_span


@strawberry.enum(description="Subject of an alert.")
class AlertType(Enum):
    SIGNAL = strawberry.enum_value("SIGNAL", description="A new signal.")
    TRADE = strawberry.enum_value("TRADE", description="A new trade, or a change of its status.")
    SYSTEM = strawberry.enum_value("SYSTEM", description="The server or its data, such as a finished backup.")


@strawberry.input(description="Conditions on alerts. An alert must meet all that are set.")
class AlertFilter:
    types: list[AlertType] | None = strawberry.field(default=None, description="Only alerts of these types.")
    is_read: bool | None = strawberry.field(
        default=None, description="true: only read alerts; false: only unread ones."
    )
    timestamp: TimeRange | None = strawberry.field(
        default=None, description="Only alerts whose timestamp is in this range."
    )

    def criteria(self) -> dict[str, Any]:
        return {
            "types": self.types and [type_.name for type_ in self.types],
            "is_read": self.is_read,
            "timestamp": time_span(self.timestamp, ["filter", "timestamp"]),
        }


AlertFilterArgument = Annotated[
    AlertFilter | None, strawberry.argument(name="filter", description="Only alerts that meet these conditions.")
]


@strawberry.type(description="A notification for one user, or for all users.", directives=cached_private(Tier.SHORT))
class Alert(Node):
    type: AlertType = strawberry.field(description="Subject of the alert.")
    message: str = strawberry.field(description="Text of the alert, 1 to 2,000 characters.")
    is_read: bool = strawberry.field(description="Whether the alert is marked as read.")
    timestamp: datetime = strawberry.field(description="Time of the event.")
    created_at: datetime = strawberry.field(description="Time at which the alert was stored.")
