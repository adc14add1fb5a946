"""Cryptocurrencies, which code and comments call coins."""

from datetime import timedelta

from sqlalchemy import CheckConstraint, Computed, Index, Interval, String, UniqueConstraint, func, true
from sqlalchemy.orm import Mapped, mapped_column

from db.intervals import INTERVALS
from db.models.access import Access, Announced
from db.models.base import Base, Created, Key, one_of

_LENGTHS = " ".join(
    f"WHEN '{name}' THEN interval '{length.total_seconds():.0f} seconds'" for name, length in INTERVALS.items()
)


class Cryptocurrency(Base):
    __tablename__ = "cryptocurrencies"
    access = Access(announced=Announced.AS_COIN)
    __table_args__ = (
        UniqueConstraint("symbol"),
        UniqueConstraint("coin_gecko_id"),
        Index(None, "symbol", "is_active"),
        CheckConstraint(one_of("base_interval", *INTERVALS), "base_interval"),
        CheckConstraint("symbol <> '' AND symbol = upper(symbol)", "symbol"),
    )

    id: Mapped[Key]
    symbol: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(100))
    coin_gecko_id: Mapped[str | None] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(server_default=true())
    base_interval: Mapped[str] = mapped_column(String(3))
    # The same as a length, for arithmetic in statements.
    base_length: Mapped[timedelta] = mapped_column(
        Interval, Computed(f"CASE base_interval {_LENGTHS} END", persisted=True)
    )
    created_at: Mapped[Created]
    updated_at: Mapped[Created] = mapped_column(onupdate=func.now())
