from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from db.models import Alert
from db.queries.keys import keys_in
from db.queries.listings import ALWAYS, Listing, Span, among, by_time, equal, narrowed, within
from db.queries.viewers import Viewer, own_or_for_all


def by_id(viewer: Viewer, key: Any) -> Select[Any]:
    alert = Alert.rows()
    return narrowed(select(alert).where(alert.c.id == key), [own_or_for_all(alert.c.user_id, viewer)])


def by_keys(viewer: Viewer, keys: Any) -> Select[Any]:
    """Those with these keys, in the order of their time."""
    alert = Alert.rows()
    criteria = [alert.c.id == keys_in(keys), own_or_for_all(alert.c.user_id, viewer)]
    return narrowed(select(alert), criteria).order_by(alert.c.timestamp, alert.c.id)


def listing(
    viewer: Viewer,
    *,
    of_user: Any = None,
    types: Sequence[str] | None = None,
    is_read: Any = None,
    timestamp: Span = ALWAYS,
    newest_first: bool = True,
) -> Listing:
    """Alerts in the order of their time. of_user: those for this user, and those for everyone."""
    alert = Alert.rows()
    criteria = [
        own_or_for_all(alert.c.user_id, viewer),
        None if of_user is None else or_(alert.c.user_id == of_user, alert.c.user_id.is_(None)),
        among(alert.c.type, types),
        equal(alert.c.is_read, is_read),
        *within(alert.c.timestamp, timestamp),
    ]
    return by_time(narrowed(select(alert), criteria), "alerts", newest_first=newest_first)
