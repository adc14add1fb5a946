"""Candles, in the table market_data."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, finite


class Candle(Base):
    __tablename__ = "market_data"
    access = Access(announced=Announced.BY_COIN)
    __table_args__ = (
        PrimaryKeyConstraint("cryptocurrency_id", "open_time"),
        Index(None, "open_time", postgresql_using="brin"),
        Index(None, "cryptocurrency_id", "created_at"),
        CheckConstraint("isfinite(timestamp)", "timestamp"),
        *(CheckConstraint(finite(name), name) for name in ("open_price", "high_price", "low_price", "close_price")),
        CheckConstraint(finite("volume"), "volume"),
        CheckConstraint(finite("market_cap"), "market_cap"),
        CheckConstraint("high_price >= greatest(open_price, close_price, low_price)", "high_is_highest"),
        CheckConstraint("low_price <= least(open_price, close_price)", "low_is_lowest"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=False))
    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="CASCADE"))
    open_time: Mapped[datetime] = mapped_column("timestamp", key="open_time")
    open: Mapped[float] = mapped_column("open_price", key="open")
    high: Mapped[float] = mapped_column("high_price", key="high")
    low: Mapped[float] = mapped_column("low_price", key="low")
    close: Mapped[float] = mapped_column("close_price", key="close")
    volume: Mapped[float]
    market_cap: Mapped[float | None]
    source: Mapped[str] = mapped_column("data_source", String(50), key="source")
    # When this version of the candle was recorded: an upsert that changes a candle sets it again, so that settling
    # finds candles that arrived late.
    created_at: Mapped[Created]
