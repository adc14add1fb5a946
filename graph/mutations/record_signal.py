from datetime import UTC, datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import signals
from db.writes import signals as writes
from db.writes.validation import invalid
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, Writing, mutation
from graph.types.signals import Signal, SignalType
from graph.types.user_errors import Payload


@strawberry.input(description="A signal to record.")
class RecordSignalInput:
    symbol: str = strawberry.field(description="The symbol of the coin that it is about, in any case.")
    type: SignalType = strawberry.field(description="What it advises.")
    strategy_id: strawberry.ID | None = strawberry.field(default=None, description="Which of your strategies gave it.")
    prediction_id: strawberry.ID | None = strawberry.field(default=None, description="The prediction behind it.")
    model_name: str | None = strawberry.field(
        default=None, description="The model behind it, with modelVersion; that of the prediction by default."
    )
    model_version: str | None = strawberry.field(default=None, description="The version of that model.")
    confidence: float | None = strawberry.field(default=None, description="How sure it is: 0 to 1.")
    timestamp: datetime | None = strawberry.field(default=None, description="When it was given: now by default.")
    extra: JSON | None = strawberry.field(default=None, description="What to note beside it: an object.")
    idempotency_key: str | None = IDEMPOTENCY_KEY

    @property
    def model(self) -> tuple[str, str] | None:
        if self.model_name is None and self.model_version is None:
            return None
        if self.model_name is None or self.model_version is None:
            raise invalid("MISMATCH", "model_name", "A model is named by both modelName and modelVersion.")
        return self.model_name, self.model_version


@strawberry.type(description="What became of recordSignal.")
class RecordSignalPayload(Payload):
    signal_id: strawberry.Private[int | None] = None

    @relation(Signal | None, "The new signal.")
    def signal(self: Row, info: Info) -> Rows:
        return signals.by_id(info.context.viewer, self.signal_id)


@mutation("Record a signal, which is yours.", as_viewer=True)
async def record_signal(writing: Writing, given: RecordSignalInput) -> RecordSignalPayload:
    key = await writes.record(
        writing.connection,
        writing.viewer,
        await writing.owner(),
        symbol=given.symbol,
        strategy_id=primary_key("Strategy", given.strategy_id, ["strategyId"]),
        prediction_id=primary_key("Prediction", given.prediction_id, ["predictionId"]),
        model=given.model,
        type=given.type.name,
        confidence=given.confidence,
        timestamp=given.timestamp or datetime.now(UTC),
        extra=given.extra,
    )
    return RecordSignalPayload(signal_id=key)
