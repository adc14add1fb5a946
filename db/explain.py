"""PostgreSQL's plan of a statement, with the time that each step takes."""

from collections.abc import Sequence
from typing import Any

from db.engine import Database
from db.errors import translate
from db.row_security import ROLE, SETTING

_SET_VIEWER = f"SELECT set_config('role', '{ROLE}', true), set_config('{SETTING}', $1, true)"


async def explain(
    database: Database, statement: str, arguments: Sequence[Any], *, viewer: str | None = None
) -> list[str]:
    """The lines of EXPLAIN (ANALYZE, BUFFERS): runs the statement in a read-only transaction.

    viewer: the setting for row security, as db.row_security.viewer_setting() returns it; None: as the owner.
    Raises a db.errors.DatabaseError.
    """
    try:
        async with database.engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            async with driver.transaction(readonly=True):
                if viewer is not None:
                    await driver.fetchval(_SET_VIEWER, viewer)
                rows = await driver.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", *arguments)
    except Exception as error:
        raise translate(error) from error
    return [row[0] for row in rows]
