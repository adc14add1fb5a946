"""The Model type: one version of a prediction model."""

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
    name: str = strawberry.field(description="Name of the model.")
    version: str = strawberry.field(description="Version of the model. The pair of name and version is unique.")
    type: str | None = strawberry.field(
        description='Kind of model, such as "statistical" or "ensemble"; null: not set.'
    )
    accuracy: float | None = strawberry.field(
        description="Share of correctly predicted directions in testing, 0 to 1; null: not set."
    )
    precision: float | None = strawberry.field(
        description="True positives divided by predicted positives in testing, 0 to 1; null: not set."
    )
    recall: float | None = strawberry.field(
        description="True positives divided by actual positives in testing, 0 to 1; null: not set."
    )
    auc: float | None = strawberry.field(description="Area under the ROC curve in testing, 0 to 1; null: not set.")
    trained_at: datetime | None = strawberry.field(description="Time at which the model was trained; null: not set.")
    extra: JSON | None = strawberry.field(
        description="Further data about the model: an object with any fields; null: none."
    )
    created_at: datetime = strawberry.field(description="Time at which the version was registered.")

    @connection(Prediction, "Predictions of this version.")
    def predictions(
        self: Row, filter_: PredictionFilterArgument = None, order_by: Order = TimeOrder.NEWEST_FIRST
    ) -> Listing:
        newest_first = is_newest_first(order_by)
        return predictions.listing(model_id=self.id, newest_first=newest_first, **criteria_of(filter_))

    @connection(Signal, "Signals based on this version that the viewer may see, newest first.")
    def signals(self: Row, info: Info) -> Listing:
        return signals.listing(info.context.viewer, model_id=self.id)
