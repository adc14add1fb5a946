"""All rows in memory, and the statements that insert them into PostgreSQL."""

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

import orjson
from sqlalchemy import text

from db.engine import Database
from tests.graph.oracle.records import JSON_VALUES, TABLES, Candle, Record

RecordType = TypeVar("RecordType", bound=Any)
# The owner of all strategies; no field that we compare shows it.
USER_ID = 77


class World:
    """The rows of the database, in no particular order."""

    def __init__(self, rows: Iterable[Record]) -> None:
        self._rows: dict[type[Any], dict[Any, Any]] = {record_type: {} for record_type in TABLES}
        for row in rows:
            self.add(row)

    def add(self, row: Record) -> None:
        self._rows[type(row)][key_of(row)] = row

    def remove(self, row: Record) -> None:
        del self._rows[type(row)][key_of(row)]

    def all(self, record_type: type[RecordType]) -> list[RecordType]:
        return list(self._rows[record_type].values())

    def get(self, record_type: type[RecordType], key: Any) -> RecordType | None:
        return self._rows[record_type].get(key)

    def candles(self, cryptocurrency_id: int) -> list[Candle]:
        """A coin's stored candles, oldest first."""
        of_coin = [row for row in self.all(Candle) if row.cryptocurrency_id == cryptocurrency_id]
        return sorted(of_coin, key=attrgetter("open_time"))


# Rows of one statement: triggers run once for each statement.
BATCH_SIZE = 1_000


def key_of(row: Record) -> Any:
    return (row.cryptocurrency_id, row.open_time) if isinstance(row, Candle) else row.id


async def insert_rows(database: Database, rows: Iterable[Record]) -> None:
    """Insert rows by plain SQL, so that a wrong column name in our models is not repeated here."""
    by_type: dict[type[Any], list[dict[str, Any]]] = {record_type: [] for record_type in TABLES}
    for row in rows:
        by_type[type(row)].append(_stored(row))
    async with database.transaction() as connection:
        for record_type, values in by_type.items():
            for start in range(0, len(values), BATCH_SIZE):
                await connection.execute(*_insert(record_type, values[start : start + BATCH_SIZE]))


async def insert_user(database: Database) -> None:
    async with database.transaction() as connection:
        statement = "INSERT INTO users (user_id, username, password_hash) VALUES (:id, 'owner', '-')"
        await connection.execute(text(statement), {"id": USER_ID})


async def delete_rows(database: Database, rows: Iterable[Record]) -> None:
    """Delete rows that no other rows reference."""
    by_type: dict[type[Any], list[dict[str, Any]]] = {record_type: [] for record_type in TABLES}
    for row in rows:
        names = ("cryptocurrency_id", "open_time") if isinstance(row, Candle) else ("id",)
        by_type[type(row)].append({name: getattr(row, name) for name in names})
    async with database.transaction() as connection:
        for record_type, keys in reversed(by_type.items()):
            for start in range(0, len(keys), BATCH_SIZE):
                await connection.execute(*_delete(record_type, keys[start : start + BATCH_SIZE]))


def _delete(record_type: type[Any], keys: list[dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    table, columns = TABLES[record_type]
    names = ", ".join(columns.get(name, name) for name in keys[0])
    rows = [", ".join(f":{name}_{number}" for name in key) for number, key in enumerate(keys)]
    return text(f"DELETE FROM {table} WHERE ({names}) IN ({', '.join(f'({row})' for row in rows)})"), _numbered(keys)


def _insert(record_type: type[Any], values: list[dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    rows = [
        ", ".join(f"CAST(:{name}_{number} AS jsonb)" if _is_json(name) else f":{name}_{number}" for name in row)
        for number, row in enumerate(values)
    ]
    statement = f"INSERT INTO {TABLES[record_type][0]} ({', '.join(values[0])}) VALUES "
    return text(statement + ", ".join(f"({row})" for row in rows)), _numbered(values)


def _numbered(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}


def _is_json(column: str) -> bool:
    return column in {names.get(value, value) for _, names in TABLES.values() for value in JSON_VALUES}


def _stored(row: Record) -> dict[str, Any]:
    names = TABLES[type(row)][1]
    return {names.get(field.name, field.name): _value(field.name, getattr(row, field.name)) for field in fields(row)}


def _value(name: str, value: Any) -> Any:
    return orjson.dumps(value).decode() if name in JSON_VALUES and value is not None else value
