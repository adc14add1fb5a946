"""Before and after a run: servers that receive changes, connections that are idle, a Redis that is used."""

import asyncio
import time
from datetime import timedelta
from itertools import count

import asyncpg
import orjson

from tests.soak.client import Client
from tests.soak.faults import Redis
from tests.soak.findings import Connections
from tests.soak.queries import DAY, closed_range
from tests.soak.servers import POOL_SIZE, Server
from tests.soak.world import Coin

REST_SECONDS = 5
# Servers with an open breaker probe Redis every five seconds at least.
RECOVERY_SECONDS = 15
POLL_SECONDS = 0.05
# A range of so many candles that a query takes a while.
LONG = 60 * DAY
BURSTS = 20
LISTENING = "{ health { cache { listening } } }"
CONNECTIONS = """
SELECT count(*), count(*) FILTER (WHERE state <> 'idle')
FROM pg_stat_activity WHERE application_name = 'candlegraph' AND datname = current_database()
"""


async def listens(client: Client, server: Server) -> None:
    """Wait until a server receives changes."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            response = await client.post(server.port, {"query": LISTENING})
            if orjson.loads(response.body)["data"]["health"]["cache"]["listening"]:
                return
            await asyncio.sleep(POLL_SECONDS)


async def fill_pools(client: Client, dsn: str, redis: Redis, running: list[Server], coin: Coin) -> None:
    """Send so many requests at once that servers open all the connections that they may keep."""
    lengths = count(LONG.total_seconds(), -1)
    for _ in range(BURSTS):
        if (await connections(dsn, redis)).postgres == len(running) * (POOL_SIZE + 2):
            return
        # Queries that were not sent before.
        sent = [closed_range(coin.symbol, coin.closed - LONG, timedelta(seconds=next(lengths))).body for _ in range(20)]
        await asyncio.gather(*(client.post(server.port, body) for server in running for body in sent))


async def connections(dsn: str, redis: Redis) -> Connections:
    """The connections of the servers, once none is busy any more."""
    connection = await asyncpg.connect(dsn)
    try:
        deadline = time.monotonic() + REST_SECONDS
        while True:
            postgres, busy = await connection.fetchrow(CONNECTIONS)
            if not busy or time.monotonic() > deadline:
                return Connections(postgres, busy, await asyncio.to_thread(redis.clients))
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await connection.close()


async def seconds_until_shared(client: Client, running: list[Server], coin: Coin) -> float | None:
    """Seconds until all servers find in Redis what another one has computed; None if they do not."""
    started, length = time.monotonic(), DAY
    while (passed := time.monotonic() - started) < RECOVERY_SECONDS:
        # A query that was not sent before.
        length += timedelta(seconds=1)
        sent = closed_range(coin.symbol, coin.closed, length).body
        sources = [(await client.post(server.port, sent)).header("x-cache") for server in running]
        if all(source.startswith("hit-redis") for source in sources[1:]):
            return passed
        running = running[1:] + running[:1]
        await asyncio.sleep(POLL_SECONDS)
    return None
