"""The mutation recordSignal."""

from datetime import UTC, datetime

import strawberry
from strawberry.scalars import JSON

from db.queries import signals
from db.writes import signals as writes
from db.writes.validation import validation_error
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import IDEMPOTENCY_KEY, MutationContext, mutation
from graph.types.signals import Signal, SignalType
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `recordSignal`.")
class RecordSignalInput:
    symbol: str = strawberry.field(description="Symbol of the coin, such as BTC; case does not matter.")
    type: SignalType = strawberry.field(description="The advice.")
    strategy_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the strategy that gave the signal: one of yours."
    )
    prediction_id: strawberry.ID | None = strawberry.field(
        default=None, description="Global id of the prediction behind the signal, for the same coin."
    )
    model_name: str | None = strawberry.field(
        default=None,
        description="Name of a registered model behind the signal, together with modelVersion. By default, the model "
        "of the prediction.",
    )
    model_version: str | None = strawberry.field(
        default=None, description="Version of that model, together with modelName."
    )
    confidence: float | None = strawberry.field(default=None, description="Confidence of the signal: 0 to 1.")
    timestamp: datetime | None = strawberry.field(
        default=None, description="Time at which the signal was given: now by default."
    )
    extra: JSON | None = strawberry.field(
        default=None,
        description="Further data about the signal: an object of at most 65,536 characters in JSON.",
    )
    idempotency_key: str | None = IDEMPOTENCY_KEY

    @property
    def model(self) -> tuple[str, str] | None:
        if self.model_name is None and self.model_version is None:
            return None
        if self.model_name is None or self.model_version is None:
            raise validation_error("MISMATCH", "model_name", "Set both modelName and modelVersion, or neither.")
        return self.model_name, self.model_version


@strawberry.type(description="Result of `recordSignal`.")
class RecordSignalPayload(Payload):
    signal_id: strawberry.Private[int | None] = None

    @relation(Signal | None, "The new signal; null if there are userErrors.")
    def signal(self: Row, info: Info) -> Rows:
        return signals.by_id(info.context.viewer, self.signal_id)


@mutation("Record a signal. It belongs to the user of its strategy, otherwise to you.", enforce_rls=True)
async def record_signal(context: MutationContext, input_: RecordSignalInput) -> RecordSignalPayload:
    key = await writes.record(
        context.connection,
        context.viewer,
        await context.owner_id(),
        symbol=input_.symbol,
        strategy_id=primary_key("Strategy", input_.strategy_id, ["strategyId"]),
        prediction_id=primary_key("Prediction", input_.prediction_id, ["predictionId"]),
        model=input_.model,
        type=input_.type.name,
        confidence=input_.confidence,
        timestamp=input_.timestamp or datetime.now(UTC),
        extra=input_.extra,
    )
    return RecordSignalPayload(signal_id=key)
