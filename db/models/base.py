"""What every table shares: naming, time and identity."""

from datetime import datetime
from functools import cache
from typing import Annotated, Any

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

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class ReadTable(TableClause):
    """A stored table, as far as those need it who read it: an alias copies all that its columns know."""

    inherit_cache = True

    def __init__(self, stored: Table) -> None:
        super().__init__(stored.name, *map(_read, stored.columns))
        self.stored = stored


def _read(stored: Column[Any]) -> ColumnClause[Any]:
    column = ColumnClause(stored.name, stored.type)
    column.key = stored.key
    return column


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), float: Double, str: Text, dict[str, Any]: JSONB}

    @classmethod
    def rows(cls) -> FromClause:
        """The table under a name of its own, for one place in a statement. Its columns are found by their attributes.

        SQLAlchemy's aliased() would do as much, at ten times the cost: statements are built while clients wait.
        """
        return cls._read().alias()

    @classmethod
    @cache
    def _read(cls) -> ReadTable:
        return ReadTable(cls.table())

    @classmethod
    def table(cls) -> Table:
        """The table itself, to write to."""
        assert isinstance(cls.__table__, Table)
        return cls.__table__


Key = Annotated[int, mapped_column(BigInteger, Identity(always=False), primary_key=True)]
Created = Annotated[datetime, mapped_column(server_default=func.now())]


def finite(column: str) -> str:
    """A check for a float that may be zero. NaN >= 0 is true in PostgreSQL, so NaN is refused by the upper bound."""
    return f"{column} >= 0 AND {column} < 'Infinity'"


def unit(column: str) -> str:
    """A check for a share between 0 and 1. NaN is greater than 1, so it is refused as well."""
    return f"{column} >= 0 AND {column} <= 1"


def one_of(column: str, *names: str) -> str:
    """A check for an enumeration, stored as its GraphQL names."""
    return f"{column} IN ({', '.join(repr(name) for name in names)})"
