"""Migrations run in both directions, and agree with the models."""

from sqlalchemy import text

from db import migrate
from db.engine import Database

OBJECTS = """
SELECT count(*) FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
WHERE n.nspname = 'public' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass)
"""


async def test_every_migration_goes_up_and_down_and_up_again(database: Database) -> None:
    await migrate.downgrade(database)
    assert await database.fetch_value(text(OBJECTS)) == 1, "only alembic_version remains"
    await migrate.upgrade(database)
    assert await migrate.current(database) == migrate.head()


async def test_models_and_migrations_agree(database: Database) -> None:
    await migrate.check(database)
