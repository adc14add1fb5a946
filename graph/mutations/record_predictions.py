"""The mutation recordPredictions."""

from datetime import UTC, datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import models, predictions
from db.queries.keys import key_list
from db.writes import predictions as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.models import Model
from graph.types.predictions import Prediction
from graph.types.user_errors import Payload


@strawberry.input(description="One prediction of the input of `recordPredictions`.")
class PredictionInput:
    symbol: str = strawberry.field(description="Symbol of the coin, such as BTC; case does not matter.")
    target_at: datetime = strawberry.field(
        description='Time for which the price is predicted, such as "now+1d": later than predictedAt.'
    )
    predicted_price: float = strawberry.field(description="Predicted price of one unit of the coin: 0 to 1e150.")
    predicted_at: datetime | None = strawberry.field(
        default=None, description="Time at which the prediction was made: now by default."
    )
    confidence: float | None = strawberry.field(default=None, description="Confidence of the model: 0 to 1.")
    features: JSON | None = strawberry.field(
        default=None, description="Input values of the model: an object of at most 65,536 characters in JSON."
    )


@strawberry.input(description="Input of `recordPredictions`.")
class RecordPredictionsInput:
    model_name: str = strawberry.field(description="Name of the model: 1 to 100 characters.")
    model_version: str = strawberry.field(
        description="Version of the model: 1 to 50 characters. A new pair of name and version is registered."
    )
    predictions: list[PredictionInput] = strawberry.field(description="1 to 1,000 predictions.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="Result of `recordPredictions`.")
class RecordPredictionsPayload(Payload):
    settled: int = strawberry.field(
        default=0, description="Number of predictions that were settled immediately, because the actual price is known."
    )
    model_id: strawberry.Private[int | None] = None
    prediction_keys: strawberry.Private[str] = key_list([])

    @relation(list[Prediction], "The new predictions, in the order of the input.")
    def predictions(self: Row) -> Rows:
        return predictions.by_keys(self.prediction_keys)

    @relation(Model | None, "Model of the predictions; null if there are userErrors.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)


@mutation("Record predictions of a model. If one prediction is invalid, none is written.")
async def record_predictions(context: MutationContext, input_: RecordPredictionsInput) -> RecordPredictionsPayload:
    now = datetime.now(UTC)
    recorded = await writes.record(
        context.connection,
        model_name=input_.model_name,
        model_version=input_.model_version,
        forecasts=[
            writes.Forecast(
                prediction.symbol,
                prediction.predicted_at or now,
                prediction.target_at,
                prediction.predicted_price,
                prediction.confidence,
                prediction.features,
            )
            for prediction in input_.predictions
        ],
    )
    return RecordPredictionsPayload(
        settled=recorded.settled, model_id=recorded.model_id, prediction_keys=key_list(recorded.prediction_ids)
    )
