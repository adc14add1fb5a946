from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select

from db.models import Alert
from db.queries.listings import ALWAYS, Listing, Span, among, by_time, equal, narrowed, within


def by_id(key: Any) -> Select[Any]:
    alert = Alert.rows()
    return select(alert).where(alert.c.id == key)


def listing(
    *,
    types: Sequence[str] | None = None,
    is_read: Any = None,
    timestamp: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Alerts in the order of their time."""
    alert = Alert.rows()
    criteria = [among(alert.c.type, types), equal(alert.c.is_read, is_read), *within(alert.c.timestamp, timestamp)]
    return by_time(narrowed(select(alert), criteria), "alerts", newest_first=newest_first)
