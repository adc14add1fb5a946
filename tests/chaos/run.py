"""A run: servers that are killed, clients that do not give up, and what the table holds in the end."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import URL

from graph.compiler.global_ids import global_id
from tests.chaos.servers import Pause, Server, environment, kill_and_restart
from tests.chaos.trades import Trades, quantity_of
from tests.soak.client import Client

COIN = "INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES ('BTC', 'Bitcoin', 'H1')"


class Wanted(NamedTuple):
    """most_kills: None for as many as there is time for."""

    trades: int = 10_000
    clients: int = 100
    servers: int = 3
    pause: Pause = Pause(0.5, 3)
    most_kills: int | None = None
    most_seconds: float = 900


@dataclass
class Findings:
    """wrong: what must not be, in words."""

    seconds: float = 0.0
    rows: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


Tell = Callable[[int, Counter[str]], None]


def chaos(url: URL, folder: Path, wanted: Wanted, tell: Tell) -> Findings:
    """On this database, which has its tables and no rows. Logs of the servers are written to the folder."""
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return asyncio.run(_run(dsn, folder, wanted, tell))


async def _run(dsn: str, folder: Path, wanted: Wanted, tell: Tell) -> Findings:
    findings = Findings()
    connection = await asyncpg.connect(dsn)
    with ExitStack() as stack:
        await connection.execute(COIN)
        servers = []
        for _ in range(wanted.servers):
            servers.append(Server(folder, environment(dsn)))
            stack.callback(servers[-1].end)
        for server in servers:
            await asyncio.to_thread(server.wait)
        trades = await _recorded(servers, wanted, findings, tell)
        for server in servers:
            said = server.log.read_text()
            if "Traceback" in said:
                findings.wrong.append(f"the server at {server.port} said: {said[-1000:]}")
        findings.wrong += await _compared(connection, trades, wanted.trades)
        findings.rows = await connection.fetchval("SELECT count(*) FROM trades")
    await connection.close()
    return findings


async def _recorded(servers: list[Server], wanted: Wanted, findings: Findings, tell: Tell) -> Trades:
    started = time.monotonic()
    async with Client() as client:
        trades = Trades(client, [server.port for server in servers], wanted.trades)
        findings.again = trades.again
        stop = asyncio.Event()
        killing = asyncio.create_task(kill_and_restart(servers, findings.kills, wanted.pause, wanted.most_kills, stop))
        telling = asyncio.create_task(_told(trades, findings.kills, tell))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(wanted.clients):
                    group.create_task(trades.record(started + wanted.most_seconds))
        finally:
            telling.cancel()
            # Not cancelled: it would leave a server behind that it was about to start.
            stop.set()
            await killing
    findings.seconds = time.monotonic() - started
    return trades


async def _told(trades: Trades, kills: Counter[str], tell: Tell) -> None:
    while True:
        tell(len(trades.answered), kills)
        await asyncio.sleep(0.2)


async def _compared(connection: "asyncpg.Connection[Any]", trades: Trades, number: int) -> list[str]:
    """What of the table is not as it should be."""
    counts = await connection.fetch("SELECT quantity, count(*), min(trade_id) AS id FROM trades GROUP BY quantity")
    stored = {row["quantity"].normalize(): (row["count"], row["id"]) for row in counts}
    wrong = [f"trade {one} was answered in two ways" for one in trades.differing]
    for one in range(1, number + 1):
        count, id_ = stored.pop(quantity_of(one).normalize(), (0, None))
        if count != 1:
            wrong.append(f"trade {one} is there {count} times")
        elif trades.answered.get(one) != global_id("Trade", id_):
            wrong.append(f"trade {one} was answered with another id")
    wrong += [f"nobody recorded a trade of {quantity}" for quantity in stored]
    keys = await connection.fetchval("SELECT count(*) FROM idempotency_keys WHERE answer IS NOT NULL")
    if keys != number:
        wrong.append(f"{keys:,} keys are kept")
    return wrong
