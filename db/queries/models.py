"""Queries for models."""

from typing import Any

from sqlalchemy import ColumnElement, Select, select

from db.models import Model
from db.queries.listings import Listing


def by_id(key: Any) -> Select[Any]:
    model = Model.rows()
    return select(model).where(model.c.id == key)


def by_name(name: Any, version: Any) -> Select[Any]:
    model = Model.rows()
    return select(model).where(model.c.name == name, model.c.version == version)


def listing() -> Listing:
    """Models in the order of their registration."""
    return Listing(select(Model.rows()), "models", ("id",))


def name_of(key: Any) -> ColumnElement[str]:
    return _attribute_of(key, "name")


def version_of(key: Any) -> ColumnElement[str]:
    return _attribute_of(key, "version")


def _attribute_of(key: Any, attribute: str) -> ColumnElement[str]:
    model = Model.rows()
    return select(model.c[attribute]).where(model.c.id == key).correlate_except(model).scalar_subquery()
