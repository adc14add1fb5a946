"""The tables, one noun a file.

Attributes have standard names, columns the names in the database. Where the two differ, the column's key is the
attribute's name, so that statements use the same names as attributes.
"""

from db.models.access import Access, Announced
from db.models.alerts import Alert
from db.models.api_keys import ApiKey
from db.models.base import Base
from db.models.candles import Candle
from db.models.cryptocurrencies import Cryptocurrency
from db.models.idempotency_keys import IdempotencyKey
from db.models.models import Model
from db.models.predictions import Prediction
from db.models.rollups import DayRollup, HourRollup, Rollup
from db.models.sentiment import Sentiment
from db.models.sessions import Session
from db.models.signals import Signal
from db.models.strategies import Strategy
from db.models.trades import Trade
from db.models.users import User

__all__ = [
    "Access",
    "Alert",
    "Announced",
    "ApiKey",
    "Base",
    "Candle",
    "Cryptocurrency",
    "DayRollup",
    "HourRollup",
    "IdempotencyKey",
    "Model",
    "Prediction",
    "Rollup",
    "Sentiment",
    "Session",
    "Signal",
    "Strategy",
    "Trade",
    "User",
]
