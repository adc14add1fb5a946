"""Records trades while servers are killed: each trade must be stored exactly once, and its client must get its id."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from sqlalchemy import URL, text

from db.engine import Database
from tests.soak.client import CONNECTION_ERRORS, Client
from tests.soak.servers import Server, await_ready, start

RECORD = """
mutation($input: RecordTradeInput!) { recordTrade(input: $input) { trade { id quantity } userErrors { code message } } }
"""
SYMBOL = "CHAOS"
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class ChaosOptions:
    """clients: number of concurrent clients. between_kills: mean seconds. limit_seconds: TimeoutError after them."""

    trades: int = 10_000
    clients: int = 64
    servers: int = 2
    between_kills: float = 1.0
    limit_seconds: float = 540


@dataclass
class Findings:
    """answers: the id that the client of each trade received, by number of the trade. attempts: counts by outcome."""

    answers: dict[int, str] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stored: int = 0
    distinct: int = 0
    stored_keys: int = 0

    def failures(self, options: ChaosOptions) -> list[str]:
        distinct_ids = len(set(self.answers.values()))
        checks = {
            f"{len(self.answers):,} of {options.trades:,} trades were answered": len(self.answers) == options.trades,
            f"clients received {distinct_ids:,} different ids": distinct_ids == options.trades,
            f"{self.stored:,} trades are stored": self.stored == options.trades,
            f"{self.distinct:,} different trades are stored": self.distinct == options.trades,
            f"{self.stored_keys:,} idempotency keys are stored": self.stored_keys == options.trades,
        }
        return [failure for failure, holds in checks.items() if not holds]


def chaos(
    url: URL, folder: Path, options: ChaosOptions, progress: Callable[[int], object] = lambda _: None
) -> Findings:
    """Run it on an empty, migrated database. progress: called with the number of answered trades."""
    return asyncio.run(_Run(url, folder, options, progress).run())


class _Run:
    def __init__(self, url: URL, folder: Path, options: ChaosOptions, progress: Callable[[int], object]) -> None:
        self._url = url
        self._folder = folder
        self._options = options
        self._progress = progress
        self._servers: list[Server] = []
        self._started: list[Server] = []
        self._waiting = list(range(options.trades))
        self._findings = Findings()

    async def run(self) -> Findings:
        database = Database(self._url, pool_size=1)
        async with database.transaction() as connection:
            await connection.execute(
                text("INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES (:s, :s, 'H1')"), {"s": SYMBOL}
            )
        with self._stopping_servers():
            self._servers = [self._start() for _ in range(self._options.servers)]
            await asyncio.gather(*(asyncio.to_thread(await_ready, server) for server in self._servers))
            began = time.monotonic()
            async with asyncio.timeout(self._options.limit_seconds):
                await self._record_all()
            self._findings.seconds = time.monotonic() - began
        await self._count(database)
        await database.close()
        return self._findings

    async def _record_all(self) -> None:
        killing = asyncio.create_task(self._keep_killing())
        async with Client() as client:
            recording = [asyncio.create_task(self._record(client)) for _ in range(self._options.clients)]
            try:
                await asyncio.gather(*recording)
            finally:
                killing.cancel()
                await asyncio.wait({killing, *recording})
        if not killing.cancelled() and killing.exception() is not None:
            killing.result()

    async def _record(self, client: Client) -> None:
        while self._waiting:
            number = self._waiting.pop()
            # The quantity identifies the trade.
            trade = {"symbol": SYMBOL, "side": "BUY", "price": "1", "quantity": str(number + 1)}
            body = {"query": RECORD, "variables": {"input": {**trade, "idempotencyKey": f"trade-{number}"}}}
            while (id_ := await self._attempt(client, body)) is None:  # noqa: ASYNC110 - each iteration sends it again
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
            self._findings.answers[number] = id_
            self._progress(len(self._findings.answers))

    async def _attempt(self, client: Client, body: object) -> str | None:
        """The id of the trade; None if the attempt failed or its outcome is unknown, so that it must be repeated."""
        try:
            response = await client.post(random.choice(self._servers).port, body)
            answer = orjson.loads(response.body)
        except CONNECTION_ERRORS as error:
            self._findings.attempts[type(error).__name__] += 1
            return None
        except ValueError:
            self._findings.attempts["truncated"] += 1
            return None
        if "errors" in answer:
            self._findings.attempts[answer["errors"][0]["extensions"]["code"]] += 1
            return None
        payload = answer["data"]["recordTrade"]
        assert payload["userErrors"] == [], payload
        self._findings.attempts["answered"] += 1
        id_: str = payload["trade"]["id"]
        return id_

    async def _keep_killing(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._options.between_kills)
            index = random.randrange(len(self._servers))
            kill_signal = random.choice((signal.SIGKILL, signal.SIGTERM))
            killed = self._servers[index]
            killed.process.send_signal(kill_signal)
            self._findings.kills[kill_signal.name] += 1
            self._servers[index] = replacement = self._start()
            await asyncio.to_thread(await_ready, replacement)
            await asyncio.to_thread(killed.end)

    def _start(self) -> Server:
        server = start(self._folder, self._url.render_as_string(hide_password=False))
        self._started.append(server)
        return server

    @contextmanager
    def _stopping_servers(self) -> Iterator[None]:
        try:
            yield
        finally:
            for server in self._started:
                server.end()

    async def _count(self, database: Database) -> None:
        statement = "SELECT count(*), count(DISTINCT quantity), (SELECT count(*) FROM idempotency_keys) FROM trades"
        ((stored, distinct, keys),) = await database.fetch_rows(text(statement))
        self._findings.stored, self._findings.distinct, self._findings.stored_keys = stored, distinct, keys
