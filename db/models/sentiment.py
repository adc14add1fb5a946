"""Sentiment scores of coins over time."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key


class Sentiment(Base):
    __tablename__ = "sentiment_data"
    access = Access(announced=Announced.BY_COIN)
    __table_args__ = (
        Index(None, "cryptocurrency_id", "timestamp", "id"),
        Index(None, "source"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        CheckConstraint("sentiment_score >= -1 AND sentiment_score <= 1", "sentiment_score"),
    )

    id: Mapped[Key] = mapped_column("sentiment_id", key="id")
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(50))
    text: Mapped[str | None]
    score: Mapped[float] = mapped_column("sentiment_score", key="score")
    timestamp: Mapped[datetime]
    extra: Mapped[dict[str, Any] | None] = mapped_column("extra_data", key="extra")
    created_at: Mapped[Created]
