"""The benchmark databases, in an embedded PostgreSQL that only the benchmarks use and that is kept between runs."""

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from fasteners import InterProcessLock
from sqlalchemy import URL

from benchmarks import data
from benchmarks.data import Content, Progress
from db import migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / ".candlegraph-bench"
# Set on the database, so that they are the same for every server. These statements are too short for JIT to pay off.
SETTINGS = {"jit": "off", "timezone": "'UTC'"}


class Postgres:
    """The running PostgreSQL server."""

    def __init__(self, url: URL, folder: Path) -> None:
        self.server = url.set(drivername="postgresql")
        self.log = folder / "log"
        self.pid = int((folder / "postmaster.pid").read_text().split()[0])
        # Undoes the settings that a killed run leaves behind. Autovacuum would distort the measurements.
        self.execute("ALTER SYSTEM RESET ALL", "ALTER SYSTEM SET autovacuum = off", "SELECT pg_reload_conf()")
        self.version: str = self.execute("SHOW server_version").split()[0]

    def url(self, content: Content) -> str:
        return self.server.set(database=content.name).render_as_string(hide_password=False)

    async def connect(self, database: str = "postgres") -> Any:
        return await asyncpg.connect(self.server.set(database=database).render_as_string(hide_password=False))

    async def prepare(self, content: Content, progress: Progress, *, fresh: bool = False) -> bool:
        """Load the content, unless it is there from an earlier run. Returns whether it was loaded."""
        admin = await self.connect()
        try:
            if not fresh and await self._stamp(admin, content) == stamp():
                return False
            await admin.execute(f"DROP DATABASE IF EXISTS {content.name} WITH (FORCE)")
            await admin.execute(f"CREATE DATABASE {content.name}")
            for name, value in SETTINGS.items():
                await admin.execute(f"ALTER DATABASE {content.name} SET {name} = {value}")
            await self._fill(content, progress)
            await admin.execute(f"COMMENT ON DATABASE {content.name} IS '{stamp()}'")
            return True
        finally:
            await admin.close()

    async def _fill(self, content: Content, progress: Progress) -> None:
        progress("tables", 0)
        database = Database(self.server.set(drivername="postgresql+asyncpg", database=content.name))
        try:
            await migrate.upgrade(database)
        finally:
            await database.close()
        connection = await self.connect(content.name)
        try:
            await data.load(connection, content, progress)
        finally:
            await connection.close()

    def execute(self, *statements: str) -> Any:
        """Run statements, each in its own transaction, and return the value of the last."""

        async def run() -> Any:
            connection = await self.connect()
            try:
                return [await connection.fetchval(statement) for statement in statements][-1]
            finally:
                await connection.close()

        return asyncio.run(run())

    @staticmethod
    async def _stamp(admin: Any, content: Content) -> str | None:
        comment: str | None = await admin.fetchval(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1", content.name
        )
        return comment


def stamp() -> str:
    """A hash of the migrations and of the data's source: it differs when a database must be loaded again."""
    sources = [Path(data.__file__), *sorted((REPOSITORY / "migrations" / "versions").glob("*.py"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


@contextmanager
def exclusive_run() -> Iterator[None]:
    """Allow one run at a time, as two would distort each other. Raises RuntimeError if another one is running."""
    FOLDER.mkdir(exist_ok=True)
    lock = InterProcessLock(FOLDER / "run.lock")
    if not lock.acquire(blocking=False):
        raise RuntimeError(f"Another run uses {FOLDER.name}: wait until it has ended.")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def postgres() -> Iterator[Postgres]:
    """The benchmarks' PostgreSQL; it is stopped at the end of the block."""
    embedded = EmbeddedPostgres(FOLDER)
    url = embedded.open()
    try:
        yield Postgres(url, embedded.data)
    finally:
        embedded.close()


def prepare_database(server: Postgres, content: Content, progress: Progress, *, fresh: bool = False) -> bool:
    """Load the content, unless it is there from an earlier run. Returns whether it was loaded."""
    return asyncio.run(server.prepare(content, progress, fresh=fresh))
