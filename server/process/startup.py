"""What has to be there before the server serves: a database, its tables, and something to look at."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from db import demo, migrate
from db.embedded import EmbeddedPostgres
from db.engine import Database
from server.app import open_database
from server.settings import Settings

Result = TypeVar("Result")


@contextmanager
def postgres(settings: Settings, console: Console) -> Iterator[None]:
    """While the block runs, so does the embedded PostgreSQL, unless another database is configured."""
    if settings.database is not None:
        yield
        return
    embedded = EmbeddedPostgres(settings.candlegraph_data_dir)
    doing = "Creating" if embedded.is_new else "Starting"
    with console.status(f"{doing} the embedded PostgreSQL in {embedded.data} …"):
        embedded.open()
    try:
        yield
    finally:
        embedded.close()


def with_database(
    settings: Settings, console: Console, work: Callable[[Database], Awaitable[Result]], *, needs_tables: bool = True
) -> Result:
    """Do the work with the configured database. The embedded one gets its tables first, where the work needs them."""

    async def prepared(database: Database) -> Result:
        if needs_tables and database.embedded:
            await migrate.upgrade(database)
        return await work(database)

    with postgres(settings, console):
        return asyncio.run(connected(settings, prepared))


async def connected(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Do the work with the configured database, which must be running."""
    database = open_database(settings)
    try:
        return await work(database)
    finally:
        await database.close()


async def prepare(database: Database, console: Console, *, with_demo: bool) -> None:
    """Bring the tables up to date, and load the demo data into an empty database. Says what it did."""
    probe = await database.probe(timeout_seconds=10)
    where = "embedded" if database.embedded else "external"
    console.print(f"  PostgreSQL {probe.version or '(no answer)'}, {where}")
    before = await migrate.current(database)
    await migrate.upgrade(database)
    done = "is up to date" if before == migrate.head() else "migrated"
    console.print(f"  Schema {done}: {migrate.head()}")
    if with_demo:
        await _load_demo(database, console)


async def _load_demo(database: Database, console: Console) -> None:
    columns = (TextColumn("  Demo data: {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task: TaskID | None = None

        def show(table: str, done: int, total: int) -> None:
            nonlocal task
            task = bar.add_task(table) if task is None else task
            bar.update(task, description=table, completed=done, total=total)

        loaded = await demo.load(database, datetime.now(UTC), show)
    if loaded:
        console.print(
            f"  Demo data: {loaded['cryptocurrencies']} coins, {loaded['market_data']:,} candles, "
            f"{loaded['predictions']:,} predictions"
        )
