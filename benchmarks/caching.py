"""Throughput of cached answers: from memory, and from Redis only, compared with the same bytes from a bare route."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.database import FOLDER, Postgres
from benchmarks.figures import CACHE_TARGETS, ratio, spread
from benchmarks.load import Measurement
from benchmarks.queries import COUNT, Query, queries
from benchmarks.servers import Server, started
from benchmarks.statements import count_reads
from benchmarks.throughput import Load, Step, Subject, measure
from tests.redis_server import redis_server

SERVERS = ("memory", "redis")
QUERIES = ("Q1", "Q2", "Q3")
CONCURRENT_REQUESTS = 500
ANSWERS = FOLDER / "static"


def measure_cache(
    postgres: Postgres, url: str, load: Load, pool_size: int, step: Step, *, with_postgraphile: bool
) -> Any:
    """Requests per second, their ratios, and the number of statements that concurrent misses of one query execute."""
    names = [*SERVERS, *(["postgraphile"] if with_postgraphile else [])]
    selected = [queries()[name] for name in QUERIES]
    with redis_server() as redis, started(names, url, pool_size, redis.url) as servers:
        _write_answers(servers["memory"], selected)
        with started(["static"], url, pool_size) as static:
            subjects = _subjects({**servers, **static}, selected)
            measurements = measure(subjects, load, postgres.pid, step)
        statements = count_reads(postgres, lambda: asyncio.run(_send_concurrently(servers["memory"])))
    return {
        "throughput": {key: spread(_rates(rounds)) for key, rounds in measurements.items()},
        "ratios": _ratios({key: _rates(rounds) for key, rounds in measurements.items()}),
        "at_once": {"requests": CONCURRENT_REQUESTS, "statements": statements, "met": statements == 1},
    }


def _subjects(servers: dict[str, Server], selected: Sequence[Query]) -> list[Subject]:
    return [
        Subject(f"{query.name} {name}", server, query)
        for query in selected
        for name, server in servers.items()
        # It has no cache, and only Q1 has a target against it.
        if name != "postgraphile" or query.name == "Q1"
    ]


def _write_answers(server: Server, selected: Sequence[Query]) -> None:
    ANSWERS.mkdir(exist_ok=True)
    for query in selected:
        (ANSWERS / f"{query.name}.json").write_bytes(server.send(query).content)


def _rates(measurements: Sequence[Measurement]) -> list[float]:
    return [measurement.requests_per_second for measurement in measurements]


def _ratios(rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    found = []
    for target in CACHE_TARGETS:
        ours, theirs = rates.get(f"{target.query} {target.server}"), rates.get(f"{target.query} {target.against}")
        against = ratio(ours, theirs) if ours and theirs else None
        if against is not None:
            found.append({**target._asdict(), **against, "met": against["median"] >= target.at_least})
    return found


async def _send_concurrently(server: Server) -> None:
    """Send one query that is not cached over many connections. Raises RuntimeError if an answer differs or fails."""
    query = queries()["Q2"]
    (body,) = query.bodies("cold")
    content = httpx.Request("POST", "http://x", json=body).content.replace(COUNT.encode(), b"1")
    headers = {"Content-Type": "application/json"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        url = server.url(query)
        requests = (client.post(url, content=content, headers=headers) for _ in range(CONCURRENT_REQUESTS))
        answers = await asyncio.gather(*requests)
    if len({answer.content for answer in answers}) > 1 or b'"errors"' in answers[0].content[:200]:
        raise RuntimeError("Concurrent requests for one query have different answers.")
