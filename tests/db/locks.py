"""Waiting in tests for a statement that is blocked by a lock."""

from sqlalchemy import text

from db.engine import Database
from tests.waiting import eventually

BLOCKED = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def until_waiting_for_a_lock(database: Database, count: int = 1) -> None:
    """Wait until this many sessions of the database wait for a lock."""

    async def are_waiting() -> bool:
        return bool(await database.fetch_value(BLOCKED) >= count)

    await eventually(are_waiting)
