from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from db.models import Alert
from db.queries.listings import ALWAYS, Listing, Span, among, by_time, equal, narrowed, within


def by_id(key: Any) -> Select[Any]:
    alert = aliased(Alert)
    return select(alert).where(alert.id == key)


def listing(
    *,
    types: Sequence[str] | None = None,
    is_read: Any = None,
    timestamp: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Alerts in the order of their time."""
    alert = aliased(Alert)
    criteria = [among(alert.type, types), equal(alert.is_read, is_read), *within(alert.timestamp, timestamp)]
    return by_time(narrowed(select(alert), criteria), "alerts", newest_first=newest_first)
