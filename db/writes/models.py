from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Model
from db.writes.validation import (
    invalid,
    json_problem,
    missing,
    raise_problems,
    share_problem,
    text_problem,
    time_problem,
)

MODEL = Model.table()
MAX_NAME, MAX_VERSION, MAX_TYPE = 100, 50, 50
METRICS = ("accuracy", "precision", "recall", "auc")


async def register(connection: Connection, *, name: str, version: str, **values: Any) -> int:
    """Register a version; return its id. values: type, accuracy, precision, recall, auc, trained_at, extra.

    Raises ValidationError.
    """
    _check(name, version)
    raise_problems(
        text_problem("type", values.get("type"), MAX_TYPE),
        *(share_problem(metric, values.get(metric)) for metric in METRICS),
        time_problem("trained_at", values.get("trained_at")),
        json_problem("extra", values.get("extra")),
    )
    statement = insert(MODEL).values(name=name, version=version, **values).returning(MODEL.c.id)
    try:
        key: int = (await connection.execute(statement)).scalar_one()
    except IntegrityError as error:
        raise invalid("ALREADY_EXISTS", "version", f"{name} {version} is registered already.") from error
    return key


async def find(connection: Connection, name: str, version: str) -> int:
    """Raises ValidationError."""
    named_well = text_problem("name", name, MAX_NAME) is text_problem("version", version, MAX_VERSION) is None
    key = await _key(connection, name, version) if named_well else None
    if key is None:
        raise missing("model_name", "model")
    return key


async def ensure(connection: Connection, name: str, version: str) -> int:
    """The key of this version, registered if need be. Raises ValidationError."""
    _check(name, version, "model_name", "model_version")
    key = await _key(connection, name, version)
    if key is None:
        await connection.execute(upsert(MODEL).values(name=name, version=version).on_conflict_do_nothing())
        # Somebody else's is seen once it is committed: nothing to do was told after that.
        key = await _key(connection, name, version)
    assert key is not None, "models are not deleted"
    return key


async def _key(connection: Connection, name: str, version: str) -> int | None:
    rows = select(MODEL.c.id).where(MODEL.c.name == name, MODEL.c.version == version)
    key: int | None = (await connection.execute(rows)).scalar_one_or_none()
    return key


def _check(name: str, version: str, name_field: str = "name", version_field: str = "version") -> None:
    raise_problems(text_problem(name_field, name, MAX_NAME), text_problem(version_field, version, MAX_VERSION))
