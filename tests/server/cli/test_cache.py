"""The commands of candlegraph cache, beside a running server."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import URL
from typer.testing import CliRunner

from db.engine import Database
from server.cli import cache as cli_cache
from tests.application import Client, serving
from tests.redis_server import redis_server
from tests.server.cli.test_cli import COMMAND, environment
from tests.waiting import eventually

BITCOIN = 'query Bitcoin { cryptocurrency(symbol: "BTC") { name latest { close } } }'
ETHER = 'query Ether { cryptocurrency(symbol: "ETH") { name latest { close } } }'
ANY = "query Any($symbol: String!) { cryptocurrency(symbol: $symbol) { symbol } }"
LIVE = "query Live { health { status } }"
OTHER = 'query Other { cryptocurrency(symbol: "ADA") { symbol } }'
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis of the test's own: the commands read all of it."""
    with redis_server() as server:
        yield server.url


def run(
    folder: Path, *arguments: str, redis: str = "", database: URL | None = None, cache: str = "true"
) -> subprocess.CompletedProcess[str]:
    where = {"REDIS_URL": redis, "CACHE_ENABLED": cache}
    if database is not None:
        where["DATABASE_URL"] = database.render_as_string(hide_password=False)
    return subprocess.run(
        [*COMMAND, "cache", *arguments],
        cwd=folder,
        env=environment() | where,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def succeeded(folder: Path, *arguments: str, **where: Any) -> str:
    done = await asyncio.to_thread(run, folder, *arguments, **where)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failed(folder: Path, *arguments: str, **where: Any) -> str:
    """The error message of a command that fails."""
    done = run(folder, *arguments, **where)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


async def ask(client: Client, query: str) -> str:
    """Send the query; return the source of its answer."""
    name = query.removeprefix("query ").partition(" ")[0]
    response = await client.post("/graphql", json={"query": query, "operationName": name})
    assert response.status_code == 200
    assert "errors" not in response.json()
    return response.headers["x-cache"].partition(";")[0]


async def ask_until(client: Client, query: str, source: str) -> None:
    """Send the query until its answer has this source: servers begin to listen after they have begun to serve."""

    async def has_source() -> bool:
        return await ask(client, query) == source

    await eventually(has_source)


def keys_in(url: str, pattern: str = "candlegraph:1:*response*") -> list[bytes]:
    with redis.Redis.from_url(url) as observer:
        return observer.keys(pattern)


async def test_help_lists_commands_and_formats(tmp_path: Path) -> None:
    assert re.search("stats .*\n.*clear .*\n.*warm ", await succeeded(tmp_path, "--help"))
    assert "response:OPERATION:SYMBOLS:DIGEST" in await succeeded(tmp_path, "clear", "--help")
    shown = await succeeded(tmp_path, "warm", "--help")
    assert all(part in shown for part in ("[FILE]...", ".graphql", ".jsonl", "most popular", "--data-dir"))


async def test_without_redis(tmp_path: Path) -> None:
    assert "Query a server" in await succeeded(tmp_path, "stats")
    assert failed(tmp_path, "warm").startswith("Error: Set REDIS_URL: without Redis, answers are cached in the memory")
    assert not (tmp_path / ".candlegraph").exists()


@pytest.mark.parametrize("command", ["stats", "clear", "warm"])
def test_an_unreachable_redis(tmp_path: Path, demo_url: URL, command: str) -> None:
    assert failed(tmp_path, command, redis=NOWHERE, database=demo_url) == "Error: Redis cannot be reached."


@pytest.mark.parametrize("command", ["clear", "warm"])
def test_an_unreachable_database(tmp_path: Path, redis_url: str, command: str) -> None:
    unreachable = URL.create("postgresql", "u", host="127.0.0.1", port=1, database="d")
    assert failed(tmp_path, command, redis=redis_url, database=unreachable) == "Error: The database cannot be reached."


async def test_stats(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as observer:
        observer.set("candlegraph:1:document:apq:0:text", "{ a }")
        observer.set("another:application", "response:")
    async with serving(demo_url, redis_url=redis_url) as client:
        await ask_until(client, BITCOIN, "hit-memory")
        await ask(client, ETHER)
    cells = [line.split("│")[1:3] for line in (await succeeded(tmp_path, "stats", redis=redis_url)).splitlines()]
    figures = {part[0].strip(): part[1].strip() for part in cells if len(part) == 2}
    assert (figures["answers"], figures["documents"]) == ("2", "1")
    assert figures["memory used by Redis"].endswith(" MiB")
    assert int(figures["misses"]) > 0


async def test_clear_reaches_redis_and_running_servers(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    async with serving(demo_url, redis_url=redis_url) as client, serving(demo_url) as alone:
        for one in (client, alone):
            await ask_until(one, BITCOIN, "hit-memory")
            await ask_until(one, ETHER, "hit-memory")
        assert len(keys_in(redis_url)) == 2
        output = await succeeded(tmp_path, "clear", "*:BTC:*", redis=redis_url, database=demo_url)
        assert output == "Answers deleted from Redis: 1\nAll running servers clear their memory.\n"
        assert [b":Ether:" in key for key in keys_in(redis_url)] == [True]
        for one in (client, alone):
            assert await ask(one, ETHER) == "hit-memory"
            assert await ask(one, BITCOIN) == "miss"
        output = await succeeded(tmp_path, "clear", redis=redis_url, database=demo_url)
        assert output.startswith("Answers deleted from Redis: 2\n")
        assert keys_in(redis_url) == []
        assert await ask(client, ETHER) == await ask(alone, ETHER) == "miss"


async def test_clear_without_redis_reaches_running_servers(tmp_path: Path, demo_url: URL) -> None:
    async with serving(demo_url) as client:
        await ask_until(client, BITCOIN, "hit-memory")
        output = await succeeded(tmp_path, "clear", "response:Bitcoin:*", database=demo_url)
        assert output == "All running servers clear their memory.\n"
        assert await ask(client, BITCOIN) == "miss"


async def test_answers_that_servers_store_meanwhile_are_cleared(
    demo_url: URL, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write in progress reaches Redis after the first announcement, and a server reads it: both are cleared."""
    announce, clears = cli_cache.announce_clear, 0
    settings = {"redis_url": redis_url, "database_url": demo_url.render_as_string(hide_password=False)}
    database = Database(demo_url, pool_size=1)
    async with serving(demo_url, redis_url=redis_url) as client:
        await ask_until(client, BITCOIN, "hit-memory")
        [key] = keys_in(redis_url)
        with redis.Redis.from_url(redis_url) as observer:
            late = observer.get(key)

            async def announced(*about: Any) -> None:
                nonlocal clears
                await announce(*about)
                clears += 1
                if clears == 1:
                    observer.set(key, late)
                    await ask_until(client, BITCOIN, "hit-redis")

            monkeypatch.setattr(cli_cache, "announce_clear", announced)
            assert await cli_cache._clear(cli_cache.Settings(_env_file=None, **settings), database, "*") == 2
        # Before the announcement arrives, it comes from memory, and nothing stores it again.
        await ask_until(client, BITCOIN, "miss")
    await database.close()


@pytest.mark.parametrize("pattern", ["BTC*", "response:[a-z]*", "response:\\*"])
def test_invalid_patterns(pattern: str) -> None:
    done = CliRunner().invoke(cli_cache.app, ["clear", pattern])
    assert (done.exit_code, "Invalid value for PATTERN" in done.output) == (2, True)


async def test_a_warm_redis_answers_first_requests(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    (tmp_path / "a.graphql").write_text(f"{BITCOIN}\n{ANY}\n{LIVE}")
    (tmp_path / "b.json").write_text(json.dumps([{"query": ANY, "variables": {"symbol": "SOL"}}]))
    (tmp_path / "c.jsonl").write_text(json.dumps({"query": ETHER, "operationName": "Ether"}) + "\n\n")
    files = ["a.graphql", "b.json", "c.jsonl"]
    output = await succeeded(tmp_path, "warm", *files, redis=redis_url, database=demo_url)
    assert output == "4 executed, 3 stored, 1 not cacheable, 0 rejected\n"
    assert len(keys_in(redis_url)) == 3
    async with serving(demo_url, redis_url=redis_url) as client:
        # From then on, it listens.
        await ask_until(client, OTHER, "miss")
        document = (tmp_path / "a.graphql").read_text()
        response = await client.post("/graphql", json={"query": document, "operationName": "Bitcoin"})
        assert response.headers["x-cache"].startswith("hit-redis")
        assert response.json()["data"]["cryptocurrency"]["name"] == "Bitcoin"
        assert await ask(client, ETHER) == "hit-redis"


def test_failed_requests_are_reported_and_the_others_stored(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    requests = [{"query": "{ nothing }"}, {"query": BITCOIN}, {"query": ANY, "operationName": "Any"}]
    (tmp_path / "a.json").write_text(json.dumps(requests))
    done = run(tmp_path, "warm", "a.json", redis=redis_url, database=demo_url)
    assert done.returncode == 1
    assert done.stdout == "3 executed, 1 stored, 2 rejected\n"
    first, second = done.stderr.strip().splitlines()
    assert first.startswith("a.json, request 1: Cannot query field 'nothing' on type 'Query'.")
    assert second.startswith("a.json, request 3, Any: ")
    assert "symbol" in second


def test_a_missing_file_is_reported_before_anything_is_started(tmp_path: Path) -> None:
    output = failed(tmp_path, "warm", "nothing", redis=NOWHERE)
    assert output == "Error: nothing cannot be read: No such file or directory."
    assert not (tmp_path / ".candlegraph").exists()


async def test_without_files_recorded_requests_are_executed(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as observer:
        recorded = [{"query": BITCOIN}, {"query": "{ gone }"}]
        observer.zadd("candlegraph:1:hottest", {json.dumps(request): 1 for request in recorded} | {"{": 1})
    output = await succeeded(tmp_path, "warm", redis=redis_url, database=demo_url)
    # A recorded request for a field that was removed does not fail the command.
    assert output == "2 executed, 1 stored, 1 rejected\n"
    assert len(keys_in(redis_url)) == 1


async def test_without_requests(tmp_path: Path, demo_url: URL, redis_url: str) -> None:
    (tmp_path / "a.graphql").write_text(ANY)
    where = {"redis": redis_url, "database": demo_url}
    assert await succeeded(tmp_path, "warm", **where) == "Servers have recorded no requests yet.\n"
    assert (await succeeded(tmp_path, "warm", "a.graphql", **where)).startswith("There is nothing to execute: ")
    assert (
        failed(tmp_path, "warm", redis=redis_url, cache="false") == "Error: CACHE_ENABLED is off: no answer is cached."
    )
