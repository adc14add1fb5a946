from datetime import UTC, datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import models, predictions
from db.queries.keys import key_list
from db.writes import predictions as writes
from graph.compiler.symbols import Row, Rows
from graph.fields import relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.models import Model
from graph.types.predictions import Prediction
from graph.types.user_errors import Payload


@strawberry.input(description="A prediction to record.")
class PredictionInput:
    symbol: str = strawberry.field(description="The symbol of the coin that it is about, in any case.")
    target_at: datetime = strawberry.field(description="The time that it is about: later than predictedAt.")
    predicted_price: float = strawberry.field(description="The forecast.")
    predicted_at: datetime | None = strawberry.field(default=None, description="When it was made: now by default.")
    confidence: float | None = strawberry.field(default=None, description="How sure the model is: 0 to 1.")
    features: JSON | None = strawberry.field(default=None, description="What the model looked at: an object.")


@strawberry.input(description="Predictions to record.")
class RecordPredictionsInput:
    model_name: str = strawberry.field(description="The name of the model that made them.")
    model_version: str = strawberry.field(description="Its version; one that is new is registered.")
    predictions: list[PredictionInput] = strawberry.field(description="1 to 1,000 predictions.")
    idempotency_key: str | None = IDEMPOTENCY_KEY


@strawberry.type(description="What became of recordPredictions.")
class RecordPredictionsPayload(Payload):
    settled: int = strawberry.field(default=0, description="Predictions whose actual price was known already.")
    model_id: strawberry.Private[int | None] = None
    prediction_keys: strawberry.Private[str] = key_list([])

    @relation(list[Prediction], "The new predictions, in the order in which they were sent.")
    def predictions(self: Row) -> Rows:
        return predictions.by_keys(self.prediction_keys)

    @relation(Model | None, "The model that made them.")
    def model(self: Row) -> Rows:
        return models.by_id(self.model_id)


@mutation("Record what a model predicted, all or nothing.")
async def record_predictions(writing: Writing, given: RecordPredictionsInput) -> RecordPredictionsPayload:
    now = datetime.now(UTC)
    recorded = await writes.record(
        writing.connection,
        model_name=given.model_name,
        model_version=given.model_version,
        forecasts=[
            writes.Forecast(
                one.symbol, one.predicted_at or now, one.target_at, one.predicted_price, one.confidence, one.features
            )
            for one in given.predictions
        ],
    )
    return RecordPredictionsPayload(
        settled=recorded.settled, model_id=recorded.model_id, prediction_keys=key_list(recorded.prediction_ids)
    )
