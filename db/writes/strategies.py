"""Writes of trading strategies: create and change."""

from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Strategy
from db.queries.listings import present_criteria
from db.queries.viewers import Viewer, owned
from db.writes.validation import json_error, not_found, raise_field_errors, text_error, validation_error

STRATEGY = Strategy.table()
MAX_NAME, MAX_DESCRIPTION = 100, 10_000


async def create(connection: Connection, user_id: int, *, name: str, **values: Any) -> int:
    """Create a strategy; return its key. values: description, parameters, is_active. Raises ValidationError."""
    _check(name=name, **values)
    statement = insert(STRATEGY).values(user_id=user_id, name=name, **values).returning(STRATEGY.c.id)
    return await _execute(connection, statement, name)


async def change(connection: Connection, viewer: Viewer, key: int, changes: dict[str, Any]) -> int:
    """Change a strategy that the viewer may see; return its key. Raises ValidationError."""
    _check(**changes)
    criteria = present_criteria([STRATEGY.c.id == key, owned(STRATEGY.c.user_id, viewer)])
    statement = update(STRATEGY).where(*criteria).values(id=STRATEGY.c.id, **changes).returning(STRATEGY.c.id)
    return await _execute(connection, statement, changes.get("name"))


async def _execute(connection: Connection, statement: Any, name: str | None) -> int:
    try:
        key: int | None = (await connection.execute(statement)).scalar_one_or_none()
    except IntegrityError as error:
        raise validation_error("ALREADY_EXISTS", "name", f"A strategy named {name!r} already exists.") from error
    if key is None:
        raise not_found("id", "strategy")
    return key


def _check(name: str | None = None, description: str | None = None, parameters: Any = None, **_: object) -> None:
    raise_field_errors(
        text_error("name", name, MAX_NAME),
        text_error("description", description, MAX_DESCRIPTION),
        json_error("parameters", parameters),
    )
