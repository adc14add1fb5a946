"""A PostgreSQL that stops and comes back under load: errors at once, full service soon, and nothing is lost or left."""

import asyncio
import itertools
import math
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import URL, text

from db.connecting import PAUSE_SECONDS
from db.embedded import EmbeddedPostgres
from db.engine import Database
from db.errors import CommitUnconfirmed, DatabaseUnavailable
from tests.application import serving
from tests.db.activity import watching
from tests.throwaway import migrated

READERS, WRITERS, POOL_SIZE = 12, 4, 4
# As long as it is away, and as long as it may take after that until all is well.
AWAY_SECONDS, SOON = 1.5, 5.0
# So long an answer may take while it is away.
AT_ONCE = 1.0


class Postgres:
    """A server of our own."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedPostgres(folder)
        self.url = self._embedded.open()

    def stop(self, how: signal.Signals) -> None:
        """By its signal: SIGQUIT ends every process at once, SIGINT lets each end its session, SIGKILL asks nobody."""
        process = psutil.Process(int((self._embedded.data / "postmaster.pid").read_text().split()[0]))
        children = process.children()
        os.kill(process.pid, how)
        psutil.wait_procs([process, *children], timeout=20)

    def start(self) -> None:
        assert self._embedded.open() == self.url

    def close(self) -> None:
        self._embedded.close()


@pytest.fixture(scope="module")
def own() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder))
        asyncio.run(migrated(server.url))
        yield server
        server.close()


class Load:
    """Reads and transactions, one after another, and what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = itertools.count(time.monotonic_ns())
        self.is_over = False
        self.ended = Counter[str]()
        self.confirmed: set[str] = set()
        self.refused: set[str] = set()
        # Since when PostgreSQL is away, until when, and how long anybody waited for an answer in between. While it
        # stops or starts, it may keep them waiting for its disk.
        self.gone_at, self.called_at = math.inf, math.inf
        self.longest_wait = 0.0
        # When a read failed last, or a transaction.
        self.failed_at = 0.0

    async def read(self) -> None:
        while not self.is_over:
            started = time.monotonic()
            try:
                await self._database.prepared.fetch_row(
                    "SELECT to_json(count(*)) FROM models", [], cache_statement=True
                )
                self.ended["read"] += 1
            except DatabaseUnavailable:
                self._failed("unread", started)
            await asyncio.sleep(0.002)

    async def write(self) -> None:
        while not self.is_over:
            started, version = time.monotonic(), str(next(self._numbers))
            insert = text("INSERT INTO models (name, version) VALUES ('m', :version)")
            try:
                async with self._database.transaction() as connection:
                    await connection.execute(insert, {"version": version})
                self.confirmed.add(version)
            except CommitUnconfirmed:
                self._failed("unconfirmed", started)
            except DatabaseUnavailable:
                self.refused.add(version)
                self._failed("unwritten", started)
            await asyncio.sleep(0.002)

    def _failed(self, what: str, started: float) -> None:
        self.ended[what] += 1
        self.failed_at = time.monotonic()
        waited = min(self.failed_at, self.called_at) - max(started, self.gone_at)
        self.longest_wait = max(self.longest_wait, waited)


@pytest.fixture
async def database(own: Postgres) -> AsyncIterator[Database]:
    database = Database(own.url, pool_size=POOL_SIZE)
    yield database
    await database.close()


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT], ids=["crash", "fast"])
async def test_a_restart_under_load(own: Postgres, database: Database, how: signal.Signals) -> None:
    load = Load(database)
    tasks = [asyncio.create_task(load.read()) for _ in range(READERS)]
    tasks += [asyncio.create_task(load.write()) for _ in range(WRITERS)]
    await asyncio.sleep(0.5)
    async with watching(own.url) as activity:
        backends = await activity.backends()
    assert backends == POOL_SIZE
    assert load.ended.keys() == {"read"}
    await asyncio.to_thread(own.stop, how)
    load.gone_at = time.monotonic()
    before, confirmed = load.ended["unread"], len(load.confirmed)
    await asyncio.sleep(AWAY_SECONDS)
    assert load.ended["unread"] > before
    load.called_at = time.monotonic()
    await asyncio.to_thread(own.start)
    back_at = time.monotonic()
    await asyncio.sleep(2)
    load.is_over = True
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert load.failed_at - back_at < SOON - 3
    assert len(load.confirmed) > confirmed
    assert load.longest_wait < AT_ONCE
    assert database.pool_in_use == 0
    async with watching(own.url) as activity:
        assert await activity.backends() <= backends
        assert await activity.running("models") == 0
    there = {row[0] for row in await database.fetch_rows(text("SELECT version FROM models WHERE name = 'm'"))}
    assert load.confirmed <= there
    assert not load.refused & there


async def test_clients_are_told_so_while_it_is_away(own: Postgres) -> None:
    query = "{ cryptocurrencies { totalCount } }"
    async with serving(own.url, database_pool_size=2, cache_enabled=False) as client:
        assert "errors" not in await client.ask(query)
        await asyncio.to_thread(own.stop, signal.SIGQUIT)
        for _ in range(3):
            started = time.monotonic()
            errors = [await client.error(query), *await asyncio.gather(*(client.error(query) for _ in range(20)))]
            assert {error["extensions"]["code"] for error in errors} == {"DATABASE_UNAVAILABLE"}
            assert time.monotonic() - started < AT_ONCE
        assert (await client.get("/readyz")).status_code == 503
        await asyncio.to_thread(own.start)
        started = time.monotonic()
        while "errors" in await client.ask(query):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
        assert time.monotonic() - started < SOON
        assert (await client.get("/readyz")).status_code == 200


async def test_nobody_waits_for_a_host_that_does_not_answer(database_url: URL) -> None:
    """Connections are taken and nothing is said, as where packets are dropped."""
    taken: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    database = Database(
        URL.create("postgresql+asyncpg", "u", host="127.0.0.1", port=port, database="d"), timeout_seconds=1.2
    )
    with pytest.raises(DatabaseUnavailable):
        await database.prepared.fetch_row("SELECT 1", [], cache_statement=True)
    # One tries again after a pause; nobody else waits for that.
    await asyncio.sleep(2 * PAUSE_SECONDS)
    trying = asyncio.create_task(database.prepared.fetch_row("SELECT 1", [], cache_statement=True))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    failures = await asyncio.gather(
        *(database.prepared.fetch_row("SELECT 1", [], cache_statement=True) for _ in range(8)), return_exceptions=True
    )
    assert [type(failure) for failure in failures] == [DatabaseUnavailable] * 8
    assert time.monotonic() - started < 0.5
    await asyncio.wait({trying})
    assert isinstance(trying.exception(), DatabaseUnavailable)
    assert database.pool_in_use == 0
    await database.close()
    silent.close()
    for writer in taken:
        writer.close()
