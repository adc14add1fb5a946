"""Metrics, as Prometheus reads them."""

import asyncio
import time
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import URL, text

from db.changes import announce_all
from db.engine import Database, driver_url
from db.errors import CommitUnconfirmed, DatabaseUnavailable, Overloaded, Rejected, StatementTimeout
from server.monitoring import scrape
from server.monitoring.metrics import MAX_OPERATIONS, RequestMetrics, StatementMetrics
from tests.application import Client, counted, serving
from tests.redis_server import redis_server
from tests.waiting import eventually

NOWHERE = driver_url("postgresql://nobody@127.0.0.1:1/none")
COIN = '{ cryptocurrency(symbol: "BTC") { name } }'
TOO_SHORT = '{ cryptocurrency(symbol: "BTC") { candles(interval: M1, last: 1) { close } } }'
DATA = ["newest_candle_timestamp_seconds", "stale_coins", "overdue_predictions"]


class Figures:
    """The samples of one scrape. figures("requests_total", operation="-") sums those with these labels."""

    def __init__(self, exposition: str) -> None:
        self.families = list(text_string_to_metric_families(exposition))

    def __call__(self, name: str, **labels: str) -> float | None:
        """None if there is no such sample."""
        values = [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == f"candlegraph_{name}" and labels.items() <= sample.labels.items()
        ]
        return sum(values) if values else None


async def figures(client: Client) -> Figures:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Figures(response.text)


async def until_listening(client: Client) -> None:
    """Wait until the server listens for changes: before that, no answer is cached."""

    async def is_listening() -> bool:
        return (await figures(client))("listener_up") == 1

    await eventually(is_listening)


async def ask(client: Client, query: str = COIN, name: str | None = None, **more: Any) -> str | None:
    """Send the query; return the source of its answer, if the response has one."""
    response = await client.post("/graphql", json={"query": query, "operationName": name, **more})
    return response.headers.get("x-cache", "").partition(";")[0] or None


async def test_names_follow_the_conventions_of_prometheus(client: Client) -> None:
    found = [family for family in (await figures(client)).families if family.name.startswith("candlegraph_")]
    assert len({family.name for family in found}) == len(found) > 30
    for family in found:
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert not sample.name.endswith("_created")


async def test_the_version_and_the_process(client: Client) -> None:
    value = await figures(client)
    assert value("info", version="0.1.0") == 1
    assert {"process_resident_memory_bytes", "python_info"} <= {family.name for family in value.families}


async def test_requests_by_outcome(client: Client) -> None:
    both = '{ good: cryptocurrency(symbol: "BTC") { symbol } bad: node(id: "x") { id } }'
    for query in (COIN, both, TOO_SHORT, "{ nothing }", "{"):
        await ask(client, query)
    await client.post("/graphql", content=b"{}", headers={"content-type": "application/json"})
    await client.get("/graphql", params={"query": "mutation { __typename }"})
    await client.get("/graphql", headers={"accept": "text/html"})
    value = await figures(client)
    outcomes = {outcome: value("requests_total", outcome=outcome) for outcome in ("ok", "partial", "refused")}
    assert outcomes == {"ok": 1, "partial": 2, "refused": 2}
    assert value("requests_total", outcome="rejected") == 2
    assert value("request_seconds_count", source="other") == 4
    assert value("request_seconds_count") == value("requests_total") == 7


async def test_requests_by_operation_and_source(client: Client) -> None:
    await until_listening(client)
    named = 'query Coin { cryptocurrency(symbol: "BTC") { name } } query Other { __typename }'
    sources = [await ask(client, named, "Coin") for _ in range(4)]
    # The third is found by its cache key, the fourth by the bytes of the request.
    assert (sources[0], sources[-1]) == ("miss", "hit-memory")
    value = await figures(client)
    assert value("requests_total", operation="Coin", outcome="ok") == 4
    assert value("requests_total") == 4
    for source in ("miss", "hit-memory"):
        assert value("request_seconds_count", source=source) == sources.count(source)
        assert (value("request_seconds_sum", source=source) or 0) > 0
    assert value("cache_hits_total", source="memory") == sources.count("hit-memory")
    assert value("cache_misses_total") == sources.count("miss")
    assert value("cache_entries") == 1
    assert (value("cache_bytes") or 0) > 0
    assert (
        value("statements_total", outcome="ok") == value("statement_seconds_count") == value("pool_wait_seconds_count")
    )


async def test_plans_are_counted(client: Client) -> None:
    for _ in range(3):
        await client.data("query($s: String!) { cryptocurrency(symbol: $s) { name } }", s="ETH")
    await client.data("{ __typename }")
    value = await figures(client)
    assert (value("plan_cache_entries"), value("document_cache_entries")) == (1, 1)
    assert value("document_cache_misses_total") == 3
    assert (value("plan_cache_bytes") or 0) > 0


def requests_of(metrics: RequestMetrics, registry: CollectorRegistry) -> dict[str, float]:
    value = Figures(generate_latest(registry).decode())
    [family] = [family for family in value.families if family.name == "candlegraph_requests"]
    return {sample.labels["operation"]: sample.value for sample in family.samples}


def test_clients_cannot_create_unlimited_series() -> None:
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry)
    for name in [*(f"Name{number}" for number in range(MAX_OPERATIONS + 50)), None, "", "Name0"]:
        metrics.answered(name, "ok", "miss", time.perf_counter())
    counts = requests_of(metrics, registry)
    assert len(counts) == MAX_OPERATIONS + 2
    assert (counts["other"], counts["-"], counts["Name0"]) == (50, 2, 2)
    assert len(metrics._known) <= MAX_OPERATIONS + 2


@pytest.mark.parametrize("name", ["a b", "1a", "é", "x" * 65, 'a"', "\ud800", "a\n"])
def test_invalid_names_get_no_series(name: str) -> None:
    registry = CollectorRegistry()
    metrics = RequestMetrics(registry)
    metrics.answered(name, "refused", "other", time.perf_counter())
    assert requests_of(metrics, registry) == {"other": 1}
    assert not metrics._known


async def test_each_application_has_its_own_metrics(demo_url: URL) -> None:
    async with serving(demo_url) as first, serving(demo_url) as second:
        await ask(first)
        assert (await figures(first))("requests_total") == 1
        assert (await figures(second))("requests_total") is None


# Statements.


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (Rejected("CODE", "", {}), "refused"),
        (StatementTimeout(), "timeout"),
        (DatabaseUnavailable(), "unavailable"),
        (CommitUnconfirmed(), "unavailable"),
        (Overloaded(), "overloaded"),
        (ZeroDivisionError(), "error"),
    ],
)
def test_outcomes_of_statements(error: Exception | None, outcome: str) -> None:
    registry = CollectorRegistry()
    StatementMetrics(registry).on_end(error)
    value = Figures(generate_latest(registry).decode())
    assert value("statements_total", outcome=outcome) == value("statements_total") == 1


async def test_a_statement_that_rejects_its_arguments(client: Client) -> None:
    await client.error(TOO_SHORT)
    assert (await figures(client))("statements_total", outcome="refused") == 2


async def test_waits_for_a_connection(demo_url: URL) -> None:
    async with serving(demo_url, database_pool_size=1, cache_enabled=False) as client:
        await asyncio.gather(*(client.data(COIN) for _ in range(20)))
        value = await figures(client)
    assert value("pool_wait_seconds_count") == value("statement_seconds_count") == 21
    # Most statements waited for those before them.
    assert (value("pool_wait_seconds_sum") or 0) > (value("statement_seconds_sum") or 0)


async def test_the_pool(demo_url: URL) -> None:
    async with serving(demo_url, database_pool_size=3, database_max_overflow=2) as client:
        value = await figures(client)
    assert value("pool_size") == 5
    assert (value("pool_in_use") or 0) <= 1


# The database and its data.


async def test_the_data(client: Client) -> None:
    value = await figures(client)
    assert value("database_up") == 1
    # The demo data ends on 2026-11-20, and has five coins.
    assert value("newest_candle_timestamp_seconds") == pytest.approx(1795172400, abs=86_400)
    assert value("stale_coins") in range(6)
    assert value("overdue_predictions") is not None


async def test_an_empty_database(database_url: URL) -> None:
    async with serving(database_url) as client:
        value = await figures(client)
    assert [value(name) for name in DATA] == [None, 0, 0]


async def test_metrics_do_not_need_the_database() -> None:
    async with serving(NOWHERE) as client:
        await ask(client)
        value = await figures(client)
    assert [value(name) for name in DATA] == [None, None, None]
    assert (value("database_up"), value("listener_up"), value("listener_lag_seconds")) == (0, 0, None)
    assert value("requests_total", outcome="partial") == 1
    assert value("request_seconds_count", source="bypass") == 1
    assert (value("statements_total", outcome="unavailable") or 0) >= 1
    assert value("statement_seconds_count") == 0


async def test_the_data_is_queried_at_intervals(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = scrape.DataWatch(database)
    with counted(database) as statements:
        await asyncio.gather(*(watch.latest() for _ in range(5)))
        await watch.latest()
        assert len(statements) == 1
        monkeypatch.setattr(scrape, "DATA_AGE_SECONDS", 0.0)
        await watch.latest()
        assert len(statements) == 2


async def test_a_scrape_does_not_wait_long_for_the_data(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "DATA_SECONDS", 0.2)
    watch = scrape.DataWatch(database)
    async with database.transaction() as connection:
        await connection.execute(text("LOCK TABLE market_data IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        assert await asyncio.gather(watch.latest(), watch.latest()) == [None, None]
        assert await watch.latest() is None
        assert time.monotonic() - started < 10
    monkeypatch.setattr(scrape, "DATA_AGE_SECONDS", 0.0)
    monkeypatch.setattr(scrape, "DATA_SECONDS", 5.0)
    assert await watch.latest() is not None


async def test_changes_by_table(database: Database, database_url: URL) -> None:
    async with serving(database_url) as client:

        async def is_received() -> bool:
            return (await figures(client))("changes_heard_total", table="any") == 1

        await until_listening(client)
        async with database.transaction() as connection:
            await connection.execute(text("UPDATE cryptocurrencies SET name = name"))
            await connection.execute(text("TRUNCATE users CASCADE"))
            # Any client may send any payload.
            await connection.execute(
                text("""SELECT pg_notify('candlegraph', '{"xid": "1", "table": "x", "coins": []}')""")
            )
            await announce_all(connection)
        await eventually(is_received)
        value = await figures(client)
    assert (value("changes_heard_total", table="users") or 0) >= 1
    assert value("changes_heard_total", table="x") is None


async def test_the_lag_of_the_listener(client: Client) -> None:
    await until_listening(client)
    assert 0 < ((await figures(client))("listener_lag_seconds") or 0) < 5


async def test_the_listener_runs_with_the_cache_off(demo_url: URL) -> None:
    async with serving(demo_url, cache_enabled=False) as client:

        async def is_up() -> bool:
            return (await figures(client))("listener_up") == 1

        await eventually(is_up)


# Redis.


async def test_without_redis_there_are_no_metrics_of_it(client: Client) -> None:
    assert not [family for family in (await figures(client)).families if "redis_" in family.name]


async def test_redis(demo_url: URL, redis_url: str) -> None:
    async with serving(demo_url, redis_url=redis_url) as first, serving(demo_url, redis_url=redis_url) as second:
        await until_listening(first)
        await until_listening(second)
        query = 'query FromRedis { cryptocurrency(symbol: "SOL") { name symbol } }'
        assert await ask(first, query, "FromRedis") == "miss"

        async def is_in_redis() -> bool:
            return await ask(second, query, "FromRedis") == "hit-redis"

        await eventually(is_in_redis)
        value = await figures(second)
    assert (value("redis_up"), value("redis_breaker", state="closed"), value("redis_breaker")) == (1, 1, 1)
    assert (value("redis_memory_used_bytes") or 0) > 10_000
    assert value("redis_memory_max_bytes") is not None
    for name in ("breaker_opened", "failures", "timeouts", "skipped", "dropped_writes"):
        assert value(f"redis_{name}_total") is not None


async def test_a_redis_that_is_killed(demo_url: URL) -> None:
    with redis_server() as server:
        async with serving(demo_url, redis_url=server.url) as client:
            await until_listening(client)
            assert (await figures(client))("redis_up") == 1
            server.process.kill()
            server.process.wait()
            for number in range(12):
                await ask(client, f'{{ cryptocurrency(symbol: "N{number}") {{ name }} }}')
            value = await figures(client)
    assert (value("redis_up"), value("redis_memory_used_bytes")) == (0, None)
    assert (value("redis_breaker", state="closed"), value("redis_breaker"), value("redis_breaker_opened_total")) == (
        0,
        1,
        1,
    )
    assert (value("redis_failures_total") or 0) >= 5
    assert (value("redis_skipped_total") or 0) > 0
