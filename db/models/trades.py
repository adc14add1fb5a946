"""Trades, on paper or real."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, String, true
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, one_of

MONEY = Numeric(38, 18)


class Trade(Base):
    __tablename__ = "trades"
    access = Access(announced=Announced.BY_COIN, owned_by="user_id")
    __table_args__ = (
        Index(None, "cryptocurrency_id", "timestamp", "id"),
        Index(None, "signal_id", "timestamp", "id"),
        Index(None, "user_id", "timestamp", "id"),
        Index(None, "timestamp", "id"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        CheckConstraint(one_of("trade_type", "BUY", "SELL"), "trade_type"),
        CheckConstraint(one_of("status", "PENDING", "EXECUTED", "FAILED"), "status"),
        CheckConstraint("price > 0 AND price <> 'NaN'", "price"),
        CheckConstraint("quantity > 0 AND quantity <> 'NaN'", "quantity"),
        CheckConstraint("pnl <> 'NaN'", "pnl"),
    )

    id: Mapped[Key] = mapped_column("trade_id", key="id")
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="RESTRICT"))
    # The owner of the signal, or else the user who recorded the trade; null: no owner.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    signal_id: Mapped[int | None] = mapped_column(ForeignKey("signals.id", ondelete="SET NULL"))
    side: Mapped[str] = mapped_column("trade_type", String(4), key="side")
    price: Mapped[Decimal] = mapped_column(MONEY)
    quantity: Mapped[Decimal] = mapped_column(MONEY)
    status: Mapped[str] = mapped_column(String(8))
    is_paper: Mapped[bool] = mapped_column("is_paper_trade", server_default=true(), key="is_paper")
    pnl: Mapped[Decimal | None] = mapped_column(MONEY)
    timestamp: Mapped[datetime]
    created_at: Mapped[Created]
