"""Answers that are kept: from memory, and from Redis alone, beside the same bytes from a bare route."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from benchmarks.database import FOLDER, Postgres
from benchmarks.figures import CACHE_TARGETS, ratio, spread
from benchmarks.load import Measure
from benchmarks.queries import COUNT, Query, queries
from benchmarks.servers import Server, started
from benchmarks.statements import statements_of
from benchmarks.throughput import Load, Step, Subject, measure
from tests.redis_server import redis_server

SERVERS = ("memory", "redis")
QUERIES = ("Q1", "Q2", "Q3")
AT_ONCE = 500
ANSWERS = FOLDER / "static"


def caching(postgres: Postgres, url: str, load: Load, pool_size: int, step: Step, *, with_postgraphile: bool) -> Any:
    """Requests per second and their ratios, and how many statements misses cost that come at once."""
    names = [*SERVERS, *(["postgraphile"] if with_postgraphile else [])]
    chosen = [queries()[name] for name in QUERIES]
    with redis_server() as redis, started(names, url, pool_size, redis.url) as servers:
        _write_answers(servers["memory"], chosen)
        with started(["static"], url, pool_size) as static:
            subjects = _subjects({**servers, **static}, chosen)
            measures = measure(subjects, load, postgres.pid, step)
        at_once = statements_of(postgres, lambda: asyncio.run(_ask_at_once(servers["memory"])))
    return {
        "throughput": {key: spread(_rates(ones)) for key, ones in measures.items()},
        "ratios": _ratios({key: _rates(ones) for key, ones in measures.items()}),
        "at_once": {"requests": AT_ONCE, "statements": at_once, "met": at_once == 1},
    }


def _subjects(servers: dict[str, Server], chosen: Sequence[Query]) -> list[Subject]:
    return [
        Subject(f"{query.name} {name}", server, query)
        for query in chosen
        for name, server in servers.items()
        # Nothing of it is kept: once is enough to compare with.
        if name != "postgraphile" or query.name == "Q1"
    ]


def _write_answers(server: Server, chosen: Sequence[Query]) -> None:
    ANSWERS.mkdir(exist_ok=True)
    for query in chosen:
        (ANSWERS / f"{query.name}.json").write_bytes(server.ask(query).content)


def _rates(measures: Sequence[Measure]) -> list[float]:
    return [one.requests_per_second for one in measures]


def _ratios(rates: dict[str, list[float]]) -> list[dict[str, Any]]:
    found = []
    for target in CACHE_TARGETS:
        ones, others = rates.get(f"{target.query} {target.server}"), rates.get(f"{target.query} {target.against}")
        against = ratio(ones, others) if ones and others else None
        if against is not None:
            found.append({**target._asdict(), **against, "met": against["median"] >= target.at_least})
    return found


async def _ask_at_once(server: Server) -> None:
    """Send a query that nobody has sent before, over so many connections at once."""
    query = queries()["Q2"]
    (body,) = query.bodies("cold")
    content = httpx.Request("POST", "http://x", json=body).content.replace(COUNT.encode(), b"1")
    headers = {"Content-Type": "application/json"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        asked = [client.post(server.url(query), content=content, headers=headers) for _ in range(AT_ONCE)]
        answers = await asyncio.gather(*asked)
    if len({answer.content for answer in answers}) > 1 or b'"errors"' in answers[0].content[:200]:
        raise RuntimeError("Requests that came at once have different answers.")
