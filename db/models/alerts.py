"""Alerts: messages for one user, or for every user."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, one_of


class Alert(Base):
    __tablename__ = "alerts"
    access = Access(announced=Announced.BY_TABLE, owned_by="user_id", shared_without_owner=True)
    __table_args__ = (
        Index(None, "user_id", "is_read", "timestamp"),
        Index(None, "timestamp", "id"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        CheckConstraint(one_of("alert_type", "SIGNAL", "TRADE", "SYSTEM"), "alert_type"),
    )

    id: Mapped[Key] = mapped_column("alert_id", key="id")
    # Null: the alert is for every user.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column("alert_type", String(6), key="type")
    message: Mapped[str]
    is_read: Mapped[bool] = mapped_column(server_default=false())
    timestamp: Mapped[datetime]
    created_at: Mapped[Created]
