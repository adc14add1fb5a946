from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base

# The newest row is written again with each candle: there is room for its next version beside it. Nobody else writes
# them, so their changes are announced as those of candles.
KEPT = {"postgresql_with": {"fillfactor": 90}, "info": {"announced_as": "market_data"}}


class Rollup(Base):
    """Candles of one length, put together from a coin's shorter ones. Triggers on market_data write them, nobody else.

    A volume that no double can hold is infinite here; candles in market_data never are.
    """

    __abstract__ = True

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
    """Hours, of the coins whose candles are shorter than an hour."""

    __tablename__ = "candle_rollups_h1"
    __table_args__ = (PrimaryKeyConstraint("cryptocurrency_id", "open_time"), KEPT)

    interval = "H1"


class DayRollup(Rollup):
    """Days, of the coins whose candles are shorter than a day: from their hours, if these are rollups too."""

    __tablename__ = "candle_rollups_d1"
    __table_args__ = (PrimaryKeyConstraint("cryptocurrency_id", "open_time"), KEPT)

    interval = "D1"
