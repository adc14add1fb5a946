"""Who looks: the first wall around what is private. The second is PostgreSQL's own, by row (db/row_security.py)."""

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, or_

from db.queries.listings import Criterion


class Viewer(NamedTuple):
    """id: of a user, as a value or a parameter; null for nobody. sees_all: the rows of everybody."""

    id: Any
    sees_all: bool


def own(user_id: Any, viewer: Viewer) -> Criterion:
    """The viewer's own rows. What belongs to nobody is for those who see all."""
    return None if viewer.sees_all else _is(user_id, viewer)


def own_or_for_all(user_id: Any, viewer: Viewer) -> Criterion:
    """The viewer's own rows, and those of nobody, which are for everyone who is signed in."""
    if viewer.sees_all:
        return None
    return or_(_is(user_id, viewer), and_(user_id.is_(None), _parameter(viewer).is_not(None)))


def _is(user_id: Any, viewer: Viewer) -> ColumnElement[bool]:
    # Never a bare None: SQLAlchemy would look for the rows of nobody.
    found: ColumnElement[bool] = user_id == _parameter(viewer)
    return found


def _parameter(viewer: Viewer) -> ColumnElement[Any]:
    if isinstance(viewer.id, ColumnElement):
        return viewer.id
    return bindparam(None, viewer.id, BigInteger(), unique=True)
