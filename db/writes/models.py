"""Writes of models: register a version, or find one by name."""

from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import Model
from db.writes.validation import (
    fraction_error,
    json_error,
    not_found,
    raise_field_errors,
    text_error,
    time_error,
    validation_error,
)

MODEL = Model.table()
MAX_NAME, MAX_VERSION, MAX_TYPE = 100, 50, 50
METRICS = ("accuracy", "precision", "recall", "auc")


async def register(connection: Connection, *, name: str, version: str, **values: Any) -> int:
    """Register a version; return its key. values: type, accuracy, precision, recall, auc, trained_at, extra.

    Raises ValidationError.
    """
    _check(name, version)
    raise_field_errors(
        text_error("type", values.get("type"), MAX_TYPE),
        *(fraction_error(metric, values.get(metric)) for metric in METRICS),
        time_error("trained_at", values.get("trained_at")),
        json_error("extra", values.get("extra")),
    )
    statement = insert(MODEL).values(name=name, version=version, **values).returning(MODEL.c.id)
    try:
        key: int = (await connection.execute(statement)).scalar_one()
    except IntegrityError as error:
        raise validation_error("ALREADY_EXISTS", "version", f"{name} {version} is already registered.") from error
    return key


async def key_of(connection: Connection, name: str, version: str) -> int:
    """The key of this version. Raises ValidationError."""
    is_valid = text_error("name", name, MAX_NAME) is text_error("version", version, MAX_VERSION) is None
    key = await _key(connection, name, version) if is_valid else None
    if key is None:
        raise not_found("model_name", "model")
    return key


async def ensure(connection: Connection, name: str, version: str) -> int:
    """The key of this version, which is registered if needed. Raises ValidationError."""
    _check(name, version, "model_name", "model_version")
    key = await _key(connection, name, version)
    if key is None:
        await connection.execute(upsert(MODEL).values(name=name, version=version).on_conflict_do_nothing())
        # ON CONFLICT DO NOTHING waits for a concurrent insert to commit, so its row is visible now.
        key = await _key(connection, name, version)
    assert key is not None, "models are not deleted"
    return key


async def _key(connection: Connection, name: str, version: str) -> int | None:
    rows = select(MODEL.c.id).where(MODEL.c.name == name, MODEL.c.version == version)
    key: int | None = (await connection.execute(rows)).scalar_one_or_none()
    return key


def _check(name: str, version: str, name_field: str = "name", version_field: str = "version") -> None:
    raise_field_errors(text_error(name_field, name, MAX_NAME), text_error(version_field, version, MAX_VERSION))
