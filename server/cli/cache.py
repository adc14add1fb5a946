"""candlegraph cache: looking after stored answers."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from cache.hottest import Hottest
from cache.redis import PREFIX, SharedCache
from db.changes import announce_clear
from db.engine import Database
from server.app import open_operations
from server.cli.terminal import DataDir, console, errors
from server.jobs.request_files import requests_in
from server.jobs.warming import Asked, Warmed, hearing, recorded, warm_redis
from server.logging import configure_logging
from server.process.startup import with_database
from server.settings import Settings, SettingsError, read_settings

# Answers stand under the database, its schema and the run of its server, with slashes between; nothing else does.
ANSWERS = f"{PREFIX}:*/*/*:"
DOCUMENTS = f"{PREFIX}:document:"
SETTLING_SECONDS = 0.5
IN_MEMORY = """\
The cache lives in each server's memory; ask a server:

  { health { cache { tiers { tier hits misses entries } } } }

Set REDIS_URL for one that all servers share."""
ONLY_REDIS = (
    "Set REDIS_URL: without Redis, answers live in the memory of each server, which only the server itself fills."
)
NOTHING_RECORDED = "Servers have recorded no requests yet."
NOTHING_IN_FILES = "There is nothing to ask: no request, and no operation that needs no variables."
CACHE_IS_OFF = "CACHE_ENABLED is off: no answer is kept."

app = typer.Typer(help="Look after stored answers.", no_args_is_help=True)
Result = TypeVar("Result")


@app.command()
def stats() -> None:
    """Show what Redis holds.

    Servers keep answers in their memory, too, and each tells of its own: { health { cache { entries tiers { … } } } }
    """
    settings = read_settings()
    if settings.redis is None:
        console.print(IN_MEMORY, markup=False)
        return
    table = Table("Redis", "")
    table.columns[1].justify = "right"
    for what, figure in asyncio.run(_with_redis(settings.redis, _figures)):
        table.add_row(what, figure)
    console.print(table)


async def _figures(shared: SharedCache) -> list[tuple[str, str]]:
    """Raises CacheUnavailable."""
    told: dict[str, Any] = await shared.execute("INFO")
    return [
        ("answers", f"{await shared.count(ANSWERS + 'response:*'):,}"),
        ("documents", f"{await shared.count(DOCUMENTS + '*'):,}"),
        ("requests recorded as the hottest", f"{len(await Hottest(shared).requests()):,}"),
        ("memory of Redis", f"{told['used_memory'] / 2**20:,.1f} MiB"),
        ("hits, of all that asked Redis", f"{told['keyspace_hits']:,}"),
        ("misses", f"{told['keyspace_misses']:,}"),
        ("evicted, for want of memory", f"{told['evicted_keys']:,}"),
        ("version", str(told["redis_version"])),
    ]


@app.command()
def clear(
    pattern: Annotated[
        str, typer.Argument(help="Keys such as 'response:LatestPrices:*' or '*:BTC:*': * is any text, ? any letter.")
    ] = "*",
    data_dir: DataDir = None,
) -> None:
    """Delete stored answers, from Redis and from the memory of every running server.

    What changes in the database ends answers by itself; this is for when something else was wrong with them.

    The key of an answer reads response:OPERATION:SYMBOLS:DIGEST.
    """
    _check(pattern)
    settings = read_settings(data_dir=data_dir)
    deleted = with_database(settings, errors, lambda database: _clear(settings, database, pattern), needs_tables=False)
    if deleted is not None:
        console.print(f"Answers deleted from Redis: {deleted:,}")
    console.print("Every running server is told to clear its memory.")


def _check(pattern: str) -> None:
    """In Redis other names come before the key, which the pattern must not reach into."""
    if not pattern.startswith(("response:", "*")):
        raise typer.BadParameter(
            "keys begin with response: so a pattern begins with that, or with *", param_hint="PATTERN"
        )
    if set(pattern) & set("[]\\"):
        raise typer.BadParameter("* and ? are the only wildcards", param_hint="PATTERN")


async def _clear(settings: Settings, database: Database, pattern: str) -> int | None:
    """How many were deleted from Redis, if there is one. Raises CacheUnavailable and DatabaseError."""
    if settings.redis is None:
        await announce_clear(database, pattern)
        return None

    async def work(shared: SharedCache) -> int:
        deleted = 0
        # Redis first, or memories are filled from there; and twice: what was on its way when servers were told has
        # arrived by then.
        for pause in (SETTLING_SECONDS, 0):
            try:
                deleted += await shared.delete_matching(ANSWERS + pattern)
            finally:
                # Memories are cleared even where Redis cannot be reached.
                await announce_clear(database, pattern)
            await asyncio.sleep(pause)
        return deleted

    return await _with_redis(settings.redis, work)


@app.command()
def warm(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Requests: .graphql, .json or .jsonl.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Ask queries, so that Redis has their answers before anybody else asks.

    Without files, these are the queries that servers were asked most of late: they record them in Redis.

    A .graphql file holds operations, of which those are asked that need no variables. A .json file holds a request as
    clients send it, {"query": …, "variables": …, "operationName": …}, or a list of them; a .jsonl file, one a line.
    """
    settings = read_settings(data_dir=data_dir)
    if settings.redis is None:
        raise SettingsError(ONLY_REDIS)
    if not settings.cache_enabled:
        raise SettingsError(CACHE_IS_OFF)
    configure_logging("ERROR")
    asked = asyncio.run(_read(files)) if files else None
    warmed = with_database(settings, errors, lambda database: _warm(settings, database, asked))
    if warmed.asked == 0:
        console.print(NOTHING_IN_FILES if files else NOTHING_RECORDED)
    else:
        _tell(warmed)
    # What servers recorded may be of a schema that was; what somebody wrote down should be right.
    raise typer.Exit(int(bool(files and warmed.refused)))


async def _read(files: list[Path]) -> list[Asked]:
    return [asked for file in files for asked in await requests_in(file)]


async def _warm(settings: Settings, database: Database, asked: list[Asked] | None) -> Warmed:
    context, operations = open_operations(settings, database)
    cache = context.cache
    assert cache.shared is not None
    try:
        # Whoever has no Redis to fill should hear of it first.
        hottest = await recorded(Hottest(cache.shared))
        requests = hottest if asked is None else asked
        columns = TextColumn("Asking"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=errors, transient=True) as bar:
            task = bar.add_task("", total=len(requests))
            async with hearing(database, context.feed):
                return await warm_redis(operations, cache, requests, lambda done: bar.update(task, completed=done))
    finally:
        await cache.close()


def _tell(warmed: Warmed) -> None:
    for name, error in warmed.refused:
        errors.print(f"{name}: {error}", markup=False, soft_wrap=True)
    never = f", {warmed.live:,} never kept" if warmed.live else ""
    console.print(f"{warmed.asked:,} asked, {warmed.kept:,} kept{never}, {len(warmed.refused):,} refused")


async def _with_redis(url: str, work: Callable[[SharedCache], Awaitable[Result]]) -> Result:
    shared = SharedCache(url)
    try:
        return await work(shared)
    finally:
        await shared.close()
