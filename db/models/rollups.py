"""Rollups: hours and days that triggers derive from shorter candles."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base

# Each candle updates the newest row: the fill factor leaves room for its next version on the same page.
_STORAGE = {"postgresql_with": {"fillfactor": 90}}


class Rollup(Base):
    """Candles of one length, aggregated from a coin's shorter ones. Only triggers on market_data write them.

    A volume beyond the range of a double is infinite here; the volume of a candle in market_data is always finite.
    """

    __abstract__ = True
    access = Access(announced=Announced.NEVER, follows="market_data")

    interval: ClassVar[str]

    cryptocurrency_id: Mapped[int] = mapped_column(ForeignKey("cryptocurrencies.id", ondelete="CASCADE"))
    open_time: Mapped[datetime] = mapped_column("timestamp", key="open_time")
    open: Mapped[float] = mapped_column("open_price", key="open")
    high: Mapped[float] = mapped_column("high_price", key="high")
    low: Mapped[float] = mapped_column("low_price", key="low")
    close: Mapped[float] = mapped_column("close_price", key="close")
    volume: Mapped[float]
    market_cap: Mapped[float | None]
    source: Mapped[str] = mapped_column("data_source", String(50), key="source")


class HourRollup(Rollup):
    """Hours of coins whose candles are shorter than an hour."""

    __tablename__ = "candle_rollups_h1"
    __table_args__ = (PrimaryKeyConstraint("cryptocurrency_id", "open_time"), _STORAGE)

    interval = "H1"


class DayRollup(Rollup):
    """Days of coins whose candles are shorter than a day: from their hours, if these are rollups too."""

    __tablename__ = "candle_rollups_d1"
    __table_args__ = (PrimaryKeyConstraint("cryptocurrency_id", "open_time"), _STORAGE)

    interval = "D1"
