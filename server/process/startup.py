"""Prepares the database of a command or server: starts it, migrates it, and loads demo data."""

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
    """Run the embedded PostgreSQL during the block, unless another database is configured."""
    if settings.database is not None:
        yield
        return
    embedded = EmbeddedPostgres(settings.candlegraph_data_dir)
    action = "Creating" if embedded.is_new else "Starting"
    with console.status(f"{action} the embedded PostgreSQL in {embedded.data} …"):
        embedded.open()
    try:
        yield
    finally:
        embedded.close()


def with_database(
    settings: Settings, console: Console, work: Callable[[Database], Awaitable[Result]], *, needs_tables: bool = True
) -> Result:
    """Run the work on the configured database. The embedded one is migrated first, if the work needs tables."""

    async def prepared(database: Database) -> Result:
        if needs_tables and database.embedded:
            await migrate.upgrade(database)
        return await work(database)

    with postgres(settings, console):
        return asyncio.run(connected(settings, prepared))


async def connected(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Run the work on the configured database, which must be running."""
    database = open_database(settings)
    try:
        return await work(database)
    finally:
        await database.close()


async def prepare(database: Database, console: Console, *, with_demo: bool) -> None:
    """Migrate the database, load the demo data if it is empty, and print what was done."""
    probe = await database.probe(timeout_seconds=10)
    where = "embedded" if database.embedded else "external"
    console.print(f"  PostgreSQL {probe.version or '(no answer)'}, {where}")
    before = await migrate.current(database)
    await migrate.upgrade(database)
    state = "is up to date" if before == migrate.head() else "migrated"
    console.print(f"  Schema {state}: {migrate.head()}")
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
