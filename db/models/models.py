"""Models that predict prices, by name and version."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, unit


class Model(Base):
    __tablename__ = "models"
    access = Access(announced=Announced.BY_TABLE)
    __table_args__ = (
        UniqueConstraint("name", "version"),
        *(CheckConstraint(unit(metric), metric) for metric in ("accuracy", "precision", "recall", "auc")),
    )

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(50))
    type: Mapped[str | None] = mapped_column("model_type", String(50), key="type")
    accuracy: Mapped[float | None]
    precision: Mapped[float | None]
    recall: Mapped[float | None]
    auc: Mapped[float | None]
    trained_at: Mapped[datetime | None] = mapped_column("trained_on", key="trained_at")
    extra: Mapped[dict[str, Any] | None] = mapped_column("extra_data", key="extra")
    created_at: Mapped[Created]
