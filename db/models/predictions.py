"""Predictions of prices, with their outcomes once they are settled."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, finite, unit


class Prediction(Base):
    __tablename__ = "predictions"
    access = Access(announced=Announced.BY_COIN)
    __table_args__ = (
        # Each ends in the primary key, so that a keyset order needs no sort.
        Index(None, "cryptocurrency_id", "target_at", "id"),
        Index(None, "cryptocurrency_id", "predicted_at", "id"),
        Index(None, "model_id", "target_at", "id"),
        Index(None, "model_id", "predicted_at", "id"),
        Index(None, "predicted_at", "id"),
        # Settling continues from the newest settled_at.
        Index(None, "settled_at"),
        Index("ix_predictions_unsettled", "target_at", postgresql_where=text("actual_price IS NULL")),
        CheckConstraint("isfinite(prediction_timestamp) AND isfinite(target_timestamp)", "times"),
        CheckConstraint("target_timestamp > prediction_timestamp", "target_is_later"),
        CheckConstraint(finite("predicted_price"), "predicted_price"),
        CheckConstraint(unit("confidence_score"), "confidence_score"),
        CheckConstraint("actual_price > 0 AND actual_price < 'Infinity'", "actual_price"),
        CheckConstraint(
            "num_nonnulls(actual_price, error, settled_at) IN (0, 3)",
            "settled_together",
        ),
        CheckConstraint("error > '-Infinity' AND error < 'Infinity'", "error"),
    )

    id: Mapped[Key]
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="RESTRICT"))
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="RESTRICT"))
    predicted_at: Mapped[datetime] = mapped_column("prediction_timestamp", key="predicted_at")
    target_at: Mapped[datetime] = mapped_column("target_timestamp", key="target_at")
    predicted_price: Mapped[float]
    confidence: Mapped[float | None] = mapped_column("confidence_score", key="confidence")
    features: Mapped[dict[str, Any] | None] = mapped_column("features_used", key="features")
    actual_price: Mapped[float | None]
    error_percent: Mapped[float | None] = mapped_column("error", key="error_percent")
    settled_at: Mapped[datetime | None]
    created_at: Mapped[Created]
