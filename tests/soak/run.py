"""A run: servers, writers, readers, and faults of Redis."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import asyncpg
from sqlalchemy import URL

from db import demo
from db.engine import Database
from tests.soak import servers
from tests.soak.client import Client
from tests.soak.deaf import deaf
from tests.soak.faults import Faults, Redis, in_any_order, separate_redis
from tests.soak.findings import Findings
from tests.soak.queries import mix
from tests.soak.readers import Reader
from tests.soak.rest import connections, fill_pools, listens, seconds_until_shared
from tests.soak.servers import Server
from tests.soak.versions import Known
from tests.soak.world import World, begin
from tests.soak.writers import Writer

SERVERS = 3


class Wanted(NamedTuple):
    seconds: float = 60
    readers: int = 16
    writers: int = 3
    # The factor by which faults come and go faster than usual.
    pace: float = 1
    # Whether LISTEN connections are terminated, too.
    hard: bool = False


def soak(url: URL, folder: Path, wanted: Wanted, report: Callable[[str], None] = print) -> Findings:
    """Run on this database, which has its tables and no rows. Logs of the servers are written to the folder."""
    report("Loading demo data …")
    world = asyncio.run(_loaded(url))
    report("Starting servers …")
    with separate_redis() as redis, servers.started(SERVERS, folder, _dsn(url), redis.proxy.url) as running:
        findings = asyncio.run(_soaked(url, world, running, redis, wanted, report))
        _stop(running, findings)
        findings.in_the_end = asyncio.run(connections(_dsn(url), redis))
    return findings


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


async def _loaded(url: URL) -> World:
    database = Database(url, pool_size=1)
    try:
        await demo.load(database, datetime.now(UTC))
    finally:
        await database.close()
    connection = await asyncpg.connect(_dsn(url))
    try:
        return await begin(connection)
    finally:
        await connection.close()


async def _soaked(
    url: URL, world: World, running: list[Server], redis: Redis, wanted: Wanted, report: Callable[[str], None]
) -> Findings:
    dsn = _dsn(url)
    queries = mix([(coin.symbol, coin.closed) for coin in world.coins])
    known, findings = Known(), Findings(wanted.seconds, SERVERS)
    gentle, harsh = in_any_order(redis.gentle_faults()), in_any_order(redis.harsh_faults())
    third = in_any_order([deaf(url)]) if wanted.hard else harsh
    faults = Faults([gentle, harsh, third], wanted.pace)
    async with Client() as client:
        await asyncio.gather(*(listens(client, server) for server in running))
        reader = Reader(client, running, known, findings, faults)
        await fill_pools(client, dsn, redis, running, world.coins[0])
        for server in running:
            await asyncio.gather(*(reader.ask(server, query) for query in queries))
        findings.at_rest = await connections(dsn, redis)
        findings.begin()
        ends_at = time.monotonic() + wanted.seconds
        async with asyncio.TaskGroup() as tasks:
            for _ in range(wanted.readers):
                tasks.create_task(reader.read(queries, ends_at))
            for _ in range(wanted.writers):
                tasks.create_task(Writer(dsn, world, known, reader, findings).write(ends_at))
            tasks.create_task(faults.come_and_go(ends_at))
            tasks.create_task(_report_progress(findings, faults, ends_at, report))
        findings.redis_used_after = await seconds_until_shared(client, running, world.coins[0])
    findings.fault_seconds = faults.seconds
    findings.afterwards = await connections(dsn, redis)
    return findings


async def _report_progress(findings: Findings, faults: Faults, ends_at: float, report: Callable[[str], None]) -> None:
    while (left := ends_at - time.monotonic()) > 0:
        wrong = len(findings.violations)
        report(f"{left:3.0f} s left, {len(findings.answers):,} answers, {wrong} wrong; fault: {faults.now or 'none'}")
        await asyncio.sleep(min(left, 0.5))


def _stop(running: list[Server], findings: Findings) -> None:
    started = time.monotonic()
    codes = servers.stopped(running)
    findings.stopped_after = time.monotonic() - started
    for server, code in zip(running, codes, strict=True):
        output = server.log.read_text()
        if code != 0 or "Traceback" in output:
            findings.violate(f"server :{server.port} ended with {code}, with the log: {output[-1000:]}")
