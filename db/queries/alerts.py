"""Queries for alerts: of one user, or for all signed-in users."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from db.models import Alert
from db.queries.keys import keys_in
from db.queries.listings import ANY_TIME, Listing, Span, equal_to, filtered, in_span, one_of, ordered_by_time
from db.queries.viewers import Viewer, owned_or_for_everyone


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    alert = Alert.rows()
    return filtered(select(alert).where(alert.c.id == key), [owned_or_for_everyone(alert.c.user_id, viewer)])


def by_keys(viewer: Viewer, keys: Any) -> Select[Any]:
    """The alerts with these keys, ordered by time."""
    alert = Alert.rows()
    criteria = [alert.c.id == keys_in(keys), owned_or_for_everyone(alert.c.user_id, viewer)]
    return filtered(select(alert), criteria).order_by(alert.c.timestamp, alert.c.id)


def listing(
    viewer: Viewer,
    *,
    of_user: Any = None,
    types: Sequence[str] | None = None,
    is_read: Any = None,
    timestamp: Span = ANY_TIME,
    newest_first: bool = True,
) -> Listing:
    """Alerts ordered by time. of_user: only alerts for this user or for everyone."""
    alert = Alert.rows()
    criteria = [
        owned_or_for_everyone(alert.c.user_id, viewer),
        None if of_user is None else or_(alert.c.user_id == of_user, alert.c.user_id.is_(None)),
        one_of(alert.c.type, types),
        equal_to(alert.c.is_read, is_read),
        *in_span(alert.c.timestamp, timestamp),
    ]
    return ordered_by_time(filtered(select(alert), criteria), "alerts", newest_first=newest_first)
