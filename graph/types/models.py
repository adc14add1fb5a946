from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from cache.tiers import Tier
from db.queries import predictions, signals
from db.queries.listings import Listing
from graph.compiler.symbols import Row
from graph.context import Info
from graph.fields import Node, cached, criteria_of
from graph.pagination import Order, TimeOrder, connection, is_newest_first
from graph.types.predictions import Prediction, PredictionFilterArgument
from graph.types.signals import Signal


@strawberry.type(description="A version of a prediction model.", directives=cached(Tier.LONG))
class Model(Node):
    name: str = strawberry.field(description="Its name.")
    version: str = strawberry.field(description="Its version: name and version together are unique.")
    type: str | None = strawberry.field(description="What kind of model it is.")
    accuracy: float | None = strawberry.field(
        description="Share of directions that it called right in testing: 0 to 1."
    )
    precision: float | None = strawberry.field(description="True positives among its positives in testing: 0 to 1.")
    recall: float | None = strawberry.field(description="True positives that it found in testing: 0 to 1.")
    auc: float | None = strawberry.field(description="Area under the ROC curve in testing: 0 to 1.")
    trained_at: datetime | None = strawberry.field(description="When it was trained.")
    extra: JSON | None = strawberry.field(description="What its maker noted beside it.")
    created_at: datetime = strawberry.field(description="When it was recorded.")

    @connection(Prediction, "What it predicted.")
    def predictions(
        self: Row, filter_: PredictionFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return predictions.listing(model_id=self.id, newest_first=newest_first, **criteria_of(filter_))

    @connection(Signal, "Signals that follow from it, newest first.")
    def signals(self: Row, info: Info) -> Listing:
        return signals.listing(info.context.viewer, model_id=self.id)
