"""Constants, written into a statement: PostgreSQL knows their types then. Never for what a client sends."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, Integer, Interval, Text, literal_column, type_coerce
from sqlalchemy.dialects.postgresql import JSONB


def text_constant(value: str) -> ColumnElement[str]:
    return literal_column(f"{_quoted(value)}::text", Text)


def json_constant(value: Any) -> ColumnElement[Any]:
    return literal_column(f"{_quoted(json.dumps(value))}::jsonb", JSONB)


def interval_constant(value: timedelta) -> ColumnElement[timedelta]:
    return literal_column(f"interval '{value // timedelta(microseconds=1)} microseconds'", Interval)


def times(count: int, length: ColumnElement[timedelta]) -> ColumnElement[timedelta]:
    """So many lengths. SQLAlchemy would take a bare number beside an interval for an interval too."""
    return type_coerce(literal_column(str(count), Integer) * length, Interval)


def time_constant(value: datetime) -> ColumnElement[datetime]:
    return literal_column(f"timestamptz {_quoted(value.isoformat())}", DateTime(timezone=True))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
