from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import aliased

from db.models import Model
from db.queries.listings import Listing


def by_id(key: Any) -> Select[Any]:
    model = aliased(Model)
    return select(model).where(model.id == key)


def by_name(name: Any, version: Any) -> Select[Any]:
    model = aliased(Model)
    return select(model).where(model.name == name, model.version == version)


def listing() -> Listing:
    """Models in the order in which they were registered."""
    return Listing(select(aliased(Model)), "models", ("id",))


def name_of(key: Any) -> ColumnElement[str]:
    return _attribute_of(key, "name")


def version_of(key: Any) -> ColumnElement[str]:
    return _attribute_of(key, "version")


def _attribute_of(key: Any, attribute: str) -> ColumnElement[str]:
    model = aliased(Model)
    return select(getattr(model, attribute)).where(model.id == key).correlate_except(model).scalar_subquery()
