"""The viewer of private rows: the WHERE clause that limits a query to them.

This is the first line of defence; the second is row-level security (db/row_security.py).
"""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, or_

from db.queries.listings import Criterion


class Viewer(NamedTuple):
    """id: a user's id, as a value or a parameter; null if anonymous. sees_all: whether all users' rows are visible."""

    id: Any
    sees_all: bool


def owned(user_id: Any, viewer: Viewer) -> Criterion:
    """The viewer's own rows. Rows without an owner are visible only to viewers who see all rows."""
    return None if viewer.sees_all else _owned_by(user_id, viewer)


def owned_or_for_everyone(user_id: Any, viewer: Viewer) -> Criterion:
    """The viewer's own rows, and rows without an owner, which are for every signed-in user."""
    if viewer.sees_all:
        return None
    return or_(_owned_by(user_id, viewer), and_(user_id.is_(None), _viewer_id(viewer).is_not(None)))


def _owned_by(user_id: Any, viewer: Viewer) -> ColumnElement[bool]:
    # Never a plain None: SQLAlchemy would compile it to IS NULL and match the rows without an owner.
    found: ColumnElement[bool] = user_id == _viewer_id(viewer)
    return found


def _viewer_id(viewer: Viewer) -> ColumnElement[Any]:
    if isinstance(viewer.id, ColumnElement):
        return viewer.id
    return bindparam(None, viewer.id, BigInteger(), unique=True)
