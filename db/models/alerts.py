from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created, Key, one_of


class Alert(Base):
    __tablename__ = "alerts"
    __table_args__ = (
        Index(None, "user_id", "is_read", "timestamp"),
        Index(None, "timestamp", "id"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        CheckConstraint(one_of("alert_type", "SIGNAL", "TRADE", "SYSTEM"), "alert_type"),
    )

    id: Mapped[Key] = mapped_column("alert_id", key="id")
    # Null: the alert is for everyone.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column("alert_type", String(6), key="type")
    message: Mapped[str]
    is_read: Mapped[bool] = mapped_column(server_default=false())
    timestamp: Mapped[datetime]
    created_at: Mapped[Created]
