from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Strategy
from db.queries.listings import met
from db.queries.viewers import Viewer, own
from db.writes.validation import invalid, json_problem, missing, raise_problems, text_problem

STRATEGY = Strategy.table()
MAX_NAME, MAX_DESCRIPTION = 100, 10_000


async def create(connection: Connection, user_id: int, *, name: str, **values: Any) -> int:
    """A new strategy's key. values: description, parameters, is_active. Raises ValidationError."""
    _check(name=name, **values)
    statement = insert(STRATEGY).values(user_id=user_id, name=name, **values).returning(STRATEGY.c.id)
    return await _written(connection, statement, name)


async def change(connection: Connection, viewer: Viewer, key: int, changes: dict[str, Any]) -> int:
    """Give these values to a strategy that the viewer may see; return its key. Raises ValidationError."""
    _check(**changes)
    mine = met([STRATEGY.c.id == key, own(STRATEGY.c.user_id, viewer)])
    statement = update(STRATEGY).where(*mine).values(id=STRATEGY.c.id, **changes).returning(STRATEGY.c.id)
    return await _written(connection, statement, changes.get("name"))


async def _written(connection: Connection, statement: Any, name: str | None) -> int:
    try:
        key: int | None = (await connection.execute(statement)).scalar_one_or_none()
    except IntegrityError as error:
        raise invalid("ALREADY_EXISTS", "name", f"There is a strategy named {name!r} already.") from error
    if key is None:
        raise missing("id", "strategy")
    return key


def _check(name: str | None = None, description: str | None = None, parameters: Any = None, **_: object) -> None:
    raise_problems(
        text_problem("name", name, MAX_NAME),
        text_problem("description", description, MAX_DESCRIPTION),
        json_problem("parameters", parameters),
    )
