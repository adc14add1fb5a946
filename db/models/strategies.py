"""Trading strategies of users."""

from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, text, true
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key


class Strategy(Base):
    __tablename__ = "trading_strategies"
    access = Access(announced=Announced.BY_TABLE, owned_by="user_id")
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[Key] = mapped_column("strategy_id", key="id")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="RESTRICT"))
    name: Mapped[str] = mapped_column(String(100))
    description: Mapped[str | None]
    parameters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    is_active: Mapped[bool] = mapped_column(server_default=true())
    created_at: Mapped[Created]
    updated_at: Mapped[Created] = mapped_column(onupdate=func.now())
