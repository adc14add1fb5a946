"""PostgreSQL restarts under load: requests fail fast, service recovers soon, no confirmed write is lost."""

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
from tests.throwaway import migrate_database
from tests.waiting import eventually

READERS, WRITERS, POOL_SIZE = 12, 4, 4
# How long the server is down, and how long full recovery may take after that.
DOWN_SECONDS, RECOVERY_SECONDS = 1.5, 5.0
# How long an error response may take while the server is down.
FAIL_FAST_SECONDS = 1.0


class Postgres:
    """A server for this module only."""

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedPostgres(folder)
        self.url = self._embedded.open()

    def stop(self, shutdown_signal: signal.Signals) -> None:
        """Stop it by a signal: SIGQUIT is an immediate shutdown, SIGINT a fast one."""
        process = psutil.Process(int((self._embedded.data / "postmaster.pid").read_text().split()[0]))
        children = process.children()
        os.kill(process.pid, shutdown_signal)
        psutil.wait_procs([process, *children], timeout=20)

    def start(self) -> None:
        assert self._embedded.open() == self.url

    def close(self) -> None:
        self._embedded.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="candlegraph-", ignore_cleanup_errors=True) as folder:
        postgres = Postgres(Path(folder))
        asyncio.run(migrate_database(postgres.url))
        yield postgres
        postgres.close()


class Load:
    """Clients that read and write in a loop, and counters of the results."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = itertools.count(time.monotonic_ns())
        self.is_over = False
        self.results = Counter[str]()
        self.confirmed: set[str] = set()
        self.failed: set[str] = set()
        # When PostgreSQL was down, when it was started again, and the longest wait for a failure in between. While it
        # stops or starts, its disk may delay responses.
        self.down_at, self.started_at = math.inf, math.inf
        self.longest_wait = 0.0
        # The time of the last failure.
        self.failed_at = 0.0

    async def read(self) -> None:
        while not self.is_over:
            started = time.monotonic()
            try:
                await self._database.prepared.fetch_row(
                    "SELECT to_json(count(*)) FROM models", [], cache_statement=True
                )
                self.results["read"] += 1
            except DatabaseUnavailable:
                self._count_failure("unread", started)
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
                self._count_failure("unconfirmed", started)
            except DatabaseUnavailable:
                self.failed.add(version)
                self._count_failure("unwritten", started)
            await asyncio.sleep(0.002)

    def _count_failure(self, result: str, started: float) -> None:
        self.results[result] += 1
        self.failed_at = time.monotonic()
        waited = min(self.failed_at, self.started_at) - max(started, self.down_at)
        self.longest_wait = max(self.longest_wait, waited)


@pytest.fixture
async def database(server: Postgres) -> AsyncIterator[Database]:
    database = Database(server.url, pool_size=POOL_SIZE)
    yield database
    await database.close()


@pytest.mark.parametrize("shutdown_signal", [signal.SIGQUIT, signal.SIGINT], ids=["crash", "fast"])
async def test_a_restart_under_load(server: Postgres, database: Database, shutdown_signal: signal.Signals) -> None:
    load = Load(database)
    tasks = [asyncio.create_task(load.read()) for _ in range(READERS)]
    tasks += [asyncio.create_task(load.write()) for _ in range(WRITERS)]
    await eventually(lambda: load.results["read"] > 100 and len(load.confirmed) > 10)
    async with watching(server.url) as activity:
        backends = await activity.backends()
    assert backends == POOL_SIZE
    assert load.results.keys() == {"read"}
    await asyncio.to_thread(server.stop, shutdown_signal)
    load.down_at = time.monotonic()
    before, confirmed = load.results["unread"], len(load.confirmed)
    # The outage is longer than the pause between two attempts to connect.
    await eventually(
        lambda: load.results["unread"] > before + READERS and time.monotonic() - load.down_at > DOWN_SECONDS
    )
    load.started_at = time.monotonic()
    await asyncio.to_thread(server.start)
    back_at = time.monotonic()
    # Load after the recovery: no failure for a second, while rows are written.
    await eventually(lambda: time.monotonic() - max(back_at, load.failed_at) > 1 and len(load.confirmed) > confirmed)
    load.is_over = True
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks)
    assert load.failed_at - back_at < RECOVERY_SECONDS - 3
    assert len(load.confirmed) > confirmed
    assert load.longest_wait < FAIL_FAST_SECONDS
    assert database.pool_in_use == 0
    async with watching(server.url) as activity:
        assert await activity.backends() <= backends
        assert await activity.running("models") == 0
    stored = {row[0] for row in await database.fetch_rows(text("SELECT version FROM models WHERE name = 'm'"))}
    assert load.confirmed <= stored
    assert not load.failed & stored


async def test_clients_get_an_error_while_the_server_is_down(server: Postgres) -> None:
    query = "{ cryptocurrencies { totalCount } }"
    async with serving(server.url, database_pool_size=2, cache_enabled=False) as client:
        assert "errors" not in await client.ask(query)
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        for _ in range(3):
            started = time.monotonic()
            errors = [await client.error(query), *await asyncio.gather(*(client.error(query) for _ in range(20)))]
            assert {error["extensions"]["code"] for error in errors} == {"DATABASE_UNAVAILABLE"}
            assert time.monotonic() - started < FAIL_FAST_SECONDS
        assert (await client.get("/readyz")).status_code == 503
        await asyncio.to_thread(server.start)

        async def is_answered() -> bool:
            return "errors" not in await client.ask(query)

        await eventually(is_answered, seconds=RECOVERY_SECONDS)
        assert (await client.get("/readyz")).status_code == 200


async def test_requests_do_not_wait_for_a_host_that_does_not_respond() -> None:
    """The host accepts connections and sends nothing, as if packets were dropped."""
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    database = Database(
        URL.create("postgresql+asyncpg", "u", host="127.0.0.1", port=port, database="d"), timeout_seconds=1.2
    )
    with pytest.raises(DatabaseUnavailable):
        await database.prepared.fetch_row("SELECT 1", [], cache_statement=True)
    # After a pause one request tries again; the others do not wait for it.
    failed_at = time.monotonic()
    await eventually(lambda: time.monotonic() - failed_at > PAUSE_SECONDS)
    attempts = len(accepted)
    trying = asyncio.create_task(database.prepared.fetch_row("SELECT 1", [], cache_statement=True))
    await eventually(lambda: len(accepted) > attempts)
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
    for writer in accepted:
        writer.close()
