"""The base class of all models: naming of constraints, column types, and the table in statements."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnClause,
    DateTime,
    Double,
    FromClause,
    Identity,
    MetaData,
    Table,
    TableClause,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

from db.models.access import Access, Announced

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class ReadTable(TableClause):
    """The columns of a table by name, type and key only: an alias copies everything that its columns hold."""

    inherit_cache = True

    def __init__(self, stored: Table) -> None:
        super().__init__(stored.name, *map(_bare_column, stored.columns))
        self.stored = stored


def _bare_column(stored: Column[Any]) -> ColumnClause[Any]:
    column = ColumnClause(stored.name, stored.type)
    column.key = stored.key
    return column


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), float: Double, str: Text, dict[str, Any]: JSONB}

    access: ClassVar[Access]
    """The declaration of the table. A model without one fails when it is imported."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__table__" in cls.__dict__:
            declare(cls.table(), cls.access)

    @classmethod
    def rows(cls) -> FromClause:
        """A new alias of the table, for one place in a statement. Its columns have the names of the attributes.

        SQLAlchemy's aliased() does the same at ten times the cost, and statements are built while a request waits.
        """
        return cls._selectable().alias()

    @classmethod
    @cache
    def _selectable(cls) -> ReadTable:
        return ReadTable(cls.table())

    @classmethod
    def table(cls) -> Table:
        """The table itself, for writes."""
        assert isinstance(cls.__table__, Table)
        return cls.__table__


def declare(table: Table, access: Access) -> None:
    """Store the declaration in the table's info, where the compiler reads how changes are announced."""
    table.info["access"] = access
    if access.announced is Announced.AS_COIN:
        table.info["announced_by"] = "symbol"
    if access.follows is not None:
        table.info["announced_as"] = access.follows


def access_of(table: Table) -> Access:
    """The declaration of a table."""
    access: Access = table.info["access"]
    return access


Key = Annotated[int, mapped_column(BigInteger, Identity(always=False), primary_key=True)]
Created = Annotated[datetime, mapped_column(server_default=func.now())]


def finite(column: str) -> str:
    """A check for a float that may be zero. NaN >= 0 is true in PostgreSQL, so the upper bound rejects NaN."""
    return f"{column} >= 0 AND {column} < 'Infinity'"


def unit(column: str) -> str:
    """A check for a share between 0 and 1. NaN is greater than 1, so it is rejected as well."""
    return f"{column} >= 0 AND {column} <= 1"


def one_of(column: str, *names: str) -> str:
    """A check for an enumeration, stored as its GraphQL names."""
    return f"{column} IN ({', '.join(repr(name) for name in names)})"
