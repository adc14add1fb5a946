"""Trading signals."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, one_of, unit


class Signal(Base):
    __tablename__ = "signals"
    access = Access(announced=Announced.BY_COIN, owned_by="user_id")
    __table_args__ = (
        Index(None, "cryptocurrency_id", "timestamp", "id"),
        Index(None, "strategy_id", "timestamp", "id"),
        Index(None, "user_id", "timestamp", "id"),
        Index(None, "model_id", "timestamp", "id"),
        Index(None, "prediction_id", "timestamp", "id"),
        Index(None, "timestamp", "id"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        CheckConstraint(one_of("signal_type", "BUY", "SELL", "HOLD"), "signal_type"),
        CheckConstraint(unit("confidence"), "confidence"),
    )

    id: Mapped[Key] = mapped_column("signal_id", key="id")
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="RESTRICT"))
    # The owner of the strategy, or else the user who recorded the signal; null: no owner.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    strategy_id: Mapped[int | None] = mapped_column(ForeignKey("trading_strategies.id", ondelete="SET NULL"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id", ondelete="SET NULL"))
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("predictions.id", ondelete="SET NULL"))
    type: Mapped[str] = mapped_column("signal_type", String(4), key="type")
    confidence: Mapped[float | None]
    timestamp: Mapped[datetime]
    extra: Mapped[dict[str, Any] | None] = mapped_column("extra_data", key="extra")
    created_at: Mapped[Created]
