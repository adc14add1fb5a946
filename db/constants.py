"""SQL literals with an explicit type, so that PostgreSQL need not infer it. Never for values from a client."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Integer, Interval, Text, literal_column, type_coerce
from sqlalchemy.dialects.postgresql import JSONB


def text_constant(value: str) -> ColumnElement[str]:
    """A literal of type text."""
    return literal_column(f"{_quoted(value)}::text", Text)


def json_constant(value: Any) -> ColumnElement[Any]:
    """A literal of type jsonb."""
    return literal_column(f"{_quoted(json.dumps(value))}::jsonb", JSONB)


def interval_constant(value: timedelta) -> ColumnElement[timedelta]:
    """A literal of type interval."""
    return literal_column(f"interval '{value // timedelta(microseconds=1)} microseconds'", Interval)


def times(count: int, length: ColumnElement[timedelta]) -> ColumnElement[timedelta]:
    """An interval multiplied by a count. SQLAlchemy would bind a plain number beside an interval as an interval."""
    return type_coerce(literal_column(str(count), Integer) * length, Interval)


def time_constant(value: datetime) -> ColumnElement[datetime]:
    """A literal of type timestamptz."""
    return literal_column(f"timestamptz {_quoted(value.isoformat())}", DateTime(timezone=True))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
