"""Migrations: one linear history in migrations/, run by Alembic on a connection of the database."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from db.autogenerate import protect_new_tables
from db.changes import announce_all
from db.engine import Database
from db.errors import DatabaseError
from db.models import Base

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
# Key of an advisory lock: one process migrates at a time, even if several servers start together.
_LOCK = 0xCA9D1E


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("file_template", "%%(year)d-%%(month).2d-%%(day).2d_%%(hour).2d%%(minute).2d_%%(slug)s")
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, metadata=Base.metadata)
    return config


def head() -> str:
    """The newest revision in migrations/."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


async def current(database: Database) -> str | None:
    """The revision of the database; None if it is empty."""
    if await database.fetch_value(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await database.fetch_value(text("SELECT version_num FROM alembic_version"))
    return revision


async def upgrade(database: Database, revision: str = "head") -> None:
    await _move(database, lambda config: command.upgrade(config, revision))


async def downgrade(database: Database, revision: str = "base") -> None:
    await _move(database, lambda config: command.downgrade(config, revision))


async def check(database: Database) -> None:
    """Raise DatabaseError if the tables of the database differ from the models."""
    await _run(database, command.check)


async def new_revision(database: Database, message: str) -> None:
    """Write a migration that turns the database's tables into those of the models, and protects new ones."""

    def write(config: Config) -> None:
        command.revision(config, message, autogenerate=True, process_revision_directives=protect_new_tables)

    await _run(database, write)


async def _move(database: Database, run: Callable[[Config], object]) -> None:
    """Run migrations, and announce a change of everything if any of them was committed.

    Each is committed by itself, so the first ones stay even if a later one fails.
    """
    before = await current(database)
    try:
        await _run(database, run)
    finally:
        if await current(database) != before:
            async with database.transaction() as connection:
                await announce_all(connection)


async def _run(database: Database, run: Callable[[Config], object]) -> None:
    async with database.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        # Building an index on a large table takes longer than the timeouts of queries.
        await connection.execute(
            text("SELECT set_config(name, '0', false) FROM (VALUES ('statement_timeout'), ('lock_timeout')) t(name)")
        )
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        await connection.commit()
        try:
            await connection.run_sync(lambda sync: run(_config(sync)))
            await connection.commit()
        except CommandError as error:
            raise DatabaseError(str(error)) from error
        finally:
            # Closing the connection ends its settings and its lock; in the pool it would keep both.
            await connection.invalidate()
