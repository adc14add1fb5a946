"""Trades are recorded while servers are killed: each must be there exactly once, and its client must know it."""

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
class Wanted:
    """clients: at once. between_kills: seconds, about. No run goes on for longer than the limit."""

    trades: int = 10_000
    clients: int = 64
    servers: int = 2
    between_kills: float = 1.0
    limit_seconds: float = 540


@dataclass
class Findings:
    """answers: the id that each trade's client was told, by the number of the trade. attempts: how each one ended."""

    answers: dict[int, str] = field(default_factory=dict)
    attempts: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    stored: int = 0
    distinct: int = 0
    kept_keys: int = 0

    def failures(self, wanted: Wanted) -> list[str]:
        told = len(set(self.answers.values()))
        checks = {
            f"{len(self.answers):,} of {wanted.trades:,} trades were answered": len(self.answers) == wanted.trades,
            f"clients were told {told:,} different ids": told == wanted.trades,
            f"{self.stored:,} trades are stored": self.stored == wanted.trades,
            f"{self.distinct:,} different trades are stored": self.distinct == wanted.trades,
            f"{self.kept_keys:,} keys are kept": self.kept_keys == wanted.trades,
        }
        return [what for what, holds in checks.items() if not holds]


def chaos(url: URL, folder: Path, wanted: Wanted, progress: Callable[[int], object] = lambda _: None) -> Findings:
    """Run it, on an empty, migrated database."""
    return asyncio.run(_Run(url, folder, wanted, progress).run())


class _Run:
    def __init__(self, url: URL, folder: Path, wanted: Wanted, progress: Callable[[int], object]) -> None:
        self._url = url
        self._folder = folder
        self._wanted = wanted
        self._progress = progress
        self._servers: list[Server] = []
        self._started: list[Server] = []
        self._waiting = list(range(wanted.trades))
        self._findings = Findings()

    async def run(self) -> Findings:
        database = Database(self._url, pool_size=1)
        async with database.transaction() as connection:
            await connection.execute(
                text("INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES (:s, :s, 'H1')"), {"s": SYMBOL}
            )
        with self._all_ended():
            self._servers = [self._start() for _ in range(self._wanted.servers)]
            await asyncio.gather(*(asyncio.to_thread(await_ready, server) for server in self._servers))
            began = time.monotonic()
            async with asyncio.timeout(self._wanted.limit_seconds):
                await self._record_all()
            self._findings.seconds = time.monotonic() - began
        await self._count(database)
        await database.close()
        return self._findings

    async def _record_all(self) -> None:
        killing = asyncio.create_task(self._kill_for_ever())
        async with Client() as client:
            recording = [asyncio.create_task(self._record(client)) for _ in range(self._wanted.clients)]
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
            # Quantities tell trades apart.
            given = {"symbol": SYMBOL, "side": "BUY", "price": "1", "quantity": str(number + 1)}
            sent = {"query": RECORD, "variables": {"input": {**given, "idempotencyKey": f"trade-{number}"}}}
            while (id_ := await self._attempt(client, sent)) is None:  # noqa: ASYNC110 - it is sent again
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
            self._findings.answers[number] = id_
            self._progress(len(self._findings.answers))

    async def _attempt(self, client: Client, sent: object) -> str | None:
        """The id of the trade; None where nobody knows what became of the attempt, or it must be made again."""
        try:
            response = await client.post(random.choice(self._servers).port, sent)
            answer = orjson.loads(response.body)
        except CONNECTION_ERRORS as error:
            self._findings.attempts[type(error).__name__] += 1
            return None
        except ValueError:
            self._findings.attempts["cut off"] += 1
            return None
        if "errors" in answer:
            self._findings.attempts[answer["errors"][0]["extensions"]["code"]] += 1
            return None
        payload = answer["data"]["recordTrade"]
        assert payload["userErrors"] == [], payload
        self._findings.attempts["answered"] += 1
        id_: str = payload["trade"]["id"]
        return id_

    async def _kill_for_ever(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self._wanted.between_kills)
            place = random.randrange(len(self._servers))
            how = random.choice((signal.SIGKILL, signal.SIGTERM))
            doomed = self._servers[place]
            doomed.process.send_signal(how)
            self._findings.kills[how.name] += 1
            self._servers[place] = fresh = self._start()
            await asyncio.to_thread(await_ready, fresh)
            await asyncio.to_thread(doomed.end)

    def _start(self) -> Server:
        server = start(self._folder, self._url.render_as_string(hide_password=False))
        self._started.append(server)
        return server

    @contextmanager
    def _all_ended(self) -> Iterator[None]:
        try:
            yield
        finally:
            for server in self._started:
                server.end()

    async def _count(self, database: Database) -> None:
        statement = "SELECT count(*), count(DISTINCT quantity), (SELECT count(*) FROM idempotency_keys) FROM trades"
        ((stored, distinct, kept),) = await database.fetch_rows(text(statement))
        self._findings.stored, self._findings.distinct, self._findings.kept_keys = stored, distinct, kept
