"""candlegraph cache: shows, clears and warms the cache of answers."""

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
from server.app import open_pipeline
from server.cli.terminal import DataDir, console, errors
from server.jobs.recording import NamedRequest, recorded_requests
from server.jobs.request_files import requests_in
from server.jobs.warming import WarmingResult, listening, warm_redis
from server.logging import configure_logging
from server.process.startup import with_database
from server.settings import Settings, SettingsError, read_settings

# Keys of answers begin with the database, its schema and the run of its server, separated by slashes; no others do.
ANSWERS = f"{PREFIX}:*/*/*:"
DOCUMENTS = f"{PREFIX}:document:"
# Time for writes to Redis that were in progress when servers received the announcement.
REPEAT_AFTER_SECONDS = 0.5
IN_MEMORY = """\
Answers are cached in the memory of each server. Query a server for its figures:

  { health { cache { tiers { tier hits misses entries } } } }

Set REDIS_URL for a cache that all servers share."""
ONLY_REDIS = (
    "Set REDIS_URL: without Redis, answers are cached in the memory of each server, which only that server can fill."
)
NOTHING_RECORDED = "Servers have recorded no requests yet."
NOTHING_IN_FILES = "There is nothing to execute: the files hold no request and no operation without required variables."
CACHE_IS_OFF = "CACHE_ENABLED is off: no answer is cached."

app = typer.Typer(help="Show, clear and warm the cache of answers.", no_args_is_help=True)
Result = TypeVar("Result")


@app.command()
def stats() -> None:
    """Show the contents of Redis.

    Servers also cache answers in memory. Query a server for its figures: { health { cache { entries tiers { … } } } }
    """
    settings = read_settings()
    if settings.redis is None:
        console.print(IN_MEMORY, markup=False)
        return
    table = Table("Redis", "")
    table.columns[1].justify = "right"
    for name, figure in asyncio.run(_with_redis(settings.redis, _figures)):
        table.add_row(name, figure)
    console.print(table)


async def _figures(shared: SharedCache) -> list[tuple[str, str]]:
    """Raises CacheUnavailable."""
    info: dict[str, Any] = await shared.execute("INFO")
    return [
        ("answers", f"{await shared.count(ANSWERS + 'response:*'):,}"),
        ("documents", f"{await shared.count(DOCUMENTS + '*'):,}"),
        ("recorded popular requests", f"{len(await Hottest(shared).requests()):,}"),
        ("memory used by Redis", f"{info['used_memory'] / 2**20:,.1f} MiB"),
        ("hits, of all clients of Redis", f"{info['keyspace_hits']:,}"),
        ("misses", f"{info['keyspace_misses']:,}"),
        ("evicted for lack of memory", f"{info['evicted_keys']:,}"),
        ("version", str(info["redis_version"])),
    ]


@app.command()
def clear(
    pattern: Annotated[
        str,
        typer.Argument(help="Keys such as 'response:LatestPrices:*' or '*:BTC:*': * is any text, ? any character."),
    ] = "*",
    data_dir: DataDir = None,
) -> None:
    """Delete stored answers, from Redis and from the memory of every running server.

    Changes in the database invalidate answers by themselves: this is for answers that are wrong for another reason.

    Keys of answers have the form response:OPERATION:SYMBOLS:DIGEST.
    """
    _check(pattern)
    settings = read_settings(data_dir=data_dir)
    deleted = with_database(settings, errors, lambda database: _clear(settings, database, pattern), needs_tables=False)
    if deleted is not None:
        console.print(f"Answers deleted from Redis: {deleted:,}")
    console.print("All running servers clear their memory.")


def _check(pattern: str) -> None:
    """Rejects a pattern that could match the prefix that Redis keys have before the key of an answer."""
    if not pattern.startswith(("response:", "*")):
        raise typer.BadParameter("a pattern must begin with response: or *, as keys do", param_hint="PATTERN")
    if set(pattern) & set("[]\\"):
        raise typer.BadParameter("* and ? are the only wildcards", param_hint="PATTERN")


async def _clear(settings: Settings, database: Database, pattern: str) -> int | None:
    """The number of answers deleted from Redis; None without Redis. Raises CacheUnavailable and DatabaseError."""
    if settings.redis is None:
        await announce_clear(database, pattern)
        return None

    async def work(shared: SharedCache) -> int:
        deleted = 0
        # Redis first, or servers would fill their memory from there. Twice, because writes to Redis that were in
        # progress when servers cleared their memory have arrived by then.
        for pause in (REPEAT_AFTER_SECONDS, 0):
            try:
                deleted += await shared.delete_matching(ANSWERS + pattern)
            finally:
                # The memory of servers is cleared even if Redis cannot be reached.
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
    """Execute queries, so that Redis has their answers before clients send them.

    Without files, these are the most popular recent queries, which servers record in Redis.

    A .graphql file holds operations; those without required variables are executed. A .json file holds a request as
    clients send it, {"query": …, "variables": …, "operationName": …}, or a list of requests; a .jsonl file, one a line.
    """
    settings = read_settings(data_dir=data_dir)
    if settings.redis is None:
        raise SettingsError(ONLY_REDIS)
    if not settings.cache_enabled:
        raise SettingsError(CACHE_IS_OFF)
    configure_logging("ERROR")
    requests = asyncio.run(_read(files)) if files else None
    result = with_database(settings, errors, lambda database: _warm(settings, database, requests))
    if result.executed == 0:
        console.print(NOTHING_IN_FILES if files else NOTHING_RECORDED)
    else:
        _print(result)
    # Recorded requests may be for an earlier version of the schema; requests in files should be valid.
    raise typer.Exit(int(bool(files and result.rejected)))


async def _read(files: list[Path]) -> list[NamedRequest]:
    return [request for file in files for request in await requests_in(file)]


async def _warm(settings: Settings, database: Database, given: list[NamedRequest] | None) -> WarmingResult:
    context, pipeline = open_pipeline(settings, database)
    cache = context.cache
    assert cache.shared is not None
    try:
        # First of all, and with files too: raises CacheUnavailable without a Redis to fill.
        recorded = await recorded_requests(Hottest(cache.shared))
        requests = recorded if given is None else given
        columns = TextColumn("Executing"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, console=errors, transient=True) as bar:
            task = bar.add_task("", total=len(requests))
            async with listening(database, context.feed):
                return await warm_redis(pipeline, cache, requests, lambda done: bar.update(task, completed=done))
    finally:
        await cache.close()


def _print(result: WarmingResult) -> None:
    for name, error in result.rejected:
        errors.print(f"{name}: {error}", markup=False, soft_wrap=True)
    uncacheable = f", {result.uncacheable:,} not cacheable" if result.uncacheable else ""
    rejected = len(result.rejected)
    console.print(f"{result.executed:,} executed, {result.stored:,} stored{uncacheable}, {rejected:,} rejected")


async def _with_redis(url: str, work: Callable[[SharedCache], Awaitable[Result]]) -> Result:
    shared = SharedCache(url)
    try:
        return await work(shared)
    finally:
        await shared.close()
