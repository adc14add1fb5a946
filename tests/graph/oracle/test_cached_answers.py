"""Generated operations while their rows change: a cached answer equals the answer without a cache."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, text

from cache.answers import AnswerCache, Source
from cache.change_feed import ChangeFeed
from db.changes import listen
from graph.pipeline import Pipeline
from graph.schema import create_schema
from tests.application import GENEROUS, context_of, request_of
from tests.conftest import TEMPLATE, create_database
from tests.graph.oracle.harness import DatabaseWithLongProbe, Harness
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.records import Cryptocurrency
from tests.graph.oracle.rows import edge_case_rows
from tests.graph.oracle.shrinking import Operation
from tests.graph.oracle.test_plans import ROOTS, without_current_time
from tests.graph.oracle.values import ValuePool

RENAMED = "CASE WHEN right(symbol, 1) = '~' THEN left(symbol, -1) ELSE symbol || '~' END"
# Table, key, and a statement that changes randomly chosen rows.
WRITES = [
    ("cryptocurrencies", "id", "UPDATE {table} SET name = 'Coin {number}' WHERE {chosen}"),
    ("cryptocurrencies", "id", f"UPDATE {{table}} SET symbol = {RENAMED} WHERE {{chosen}}"),
    ("market_data", "cryptocurrency_id, timestamp", "UPDATE {table} SET volume = {number} WHERE {chosen}"),
    ("market_data", "cryptocurrency_id, timestamp", "DELETE FROM {table} WHERE {chosen} AND random() < 0.05"),
    ("models", "id", "UPDATE {table} SET model_type = 'kind {number}' WHERE {chosen}"),
    ("predictions", "id", "UPDATE {table} SET confidence_score = {number} / 1e6 WHERE {chosen}"),
    ("trading_strategies", "strategy_id", "UPDATE {table} SET description = 'new {number}' WHERE {chosen}"),
    ("signals", "signal_id", "UPDATE {table} SET confidence = {number} / 1e6 WHERE {chosen}"),
    (
        "signals",
        "signal_id",
        "UPDATE {table} SET cryptocurrency_id = (SELECT id FROM cryptocurrencies ORDER BY random() LIMIT 1) "
        "WHERE {chosen}",
    ),
    ("trades", "trade_id", "UPDATE {table} SET pnl = {number} WHERE {chosen}"),
    ("trades", "trade_id", "DELETE FROM {table} WHERE {chosen} AND random() < 0.05"),
    ("sentiment_data", "sentiment_id", "UPDATE {table} SET text = 'said {number}' WHERE {chosen}"),
    ("alerts", "alert_id", "UPDATE {table} SET message = 'alert {number}' WHERE {chosen}"),
]


# Selections below one coin and below all coins.
BROAD = """name latest { close volume } candles(last: 50) { volume }
  predictions(first: 20) { nodes { confidence model { type } actual { directionCorrect } } }
  signals(first: 20) { totalCount nodes { confidence strategy { description } trades { nodes { pnl } } } }
  trades(first: 20) { nodes { pnl signal { confidence cryptocurrency { symbol } } } } sentiment { nodes { text } }"""
HANDWRITTEN = [
    f"query($symbol: String!) {{ cryptocurrency(symbol: $symbol) {{ {BROAD} }} }}",
    f"{{ cryptocurrencies(first: 5) {{ nodes {{ {BROAD} }} }} }}",
    "query($symbol: String!) { cryptocurrency(symbol: $symbol) { candles(interval: D1, last: 20) { volume source } } }",
    "query($symbol: String!) { signals(filter: {symbol: $symbol}) { nodes { confidence cryptocurrency { name } } } }",
    "{ trades { totalCount nodes { pnl } } alerts { nodes { message } } strategies { nodes { description } } }",
    "{ models { nodes { type predictions(first: 5) { nodes { confidence cryptocurrency { symbol name } } } } } }",
]


class WaitableFeed(ChangeFeed):
    """A change feed whose notifications can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self.last_transaction = 0
        self.notified = asyncio.Event()

    def on_resync(self, *where: str) -> None:
        super().on_resync(*where)
        self.notified.set()

    def on_change(self, transaction: int, *change: Any) -> None:
        super().on_change(transaction, *change)
        self.last_transaction = transaction
        self.notified.set()

    async def wait_for_transaction(self, transaction: int) -> None:
        async with asyncio.timeout(60):
            while self.last_transaction < transaction:
                self.notified.clear()
                await self.notified.wait()


class CachingHarness(Harness):
    """A harness whose rows change, and that can also answer from the cache."""

    def __init__(self, runner: asyncio.Runner, database: DatabaseWithLongProbe) -> None:
        super().__init__(runner, database, edge_case_rows())
        self.feed = WaitableFeed()
        cache = AnswerCache(self.feed)
        self.caching = Pipeline(create_schema(), context_of(database, self.feed, cache), rules=GENEROUS)
        self.sources: Counter[Source] = Counter()
        self.changed = 0
        self.listening = runner.run(self._listen())

    async def _listen(self) -> asyncio.Task[None]:
        listening = asyncio.create_task(listen(self.database, self.feed))
        async with asyncio.timeout(60):
            await self.feed.notified.wait()
        return listening

    def answer_from_cache(self, operation: Operation) -> Any:
        answer = self.runner.run(self.caching.answer(request_of(operation.text, operation.variables)))
        self.sources[answer.source] += 1
        return without_current_time(orjson.loads(answer.body))

    async def write(self, random: Random) -> None:
        table, key, statement = random.choice(WRITES)
        chosen = f"({key}) IN (SELECT {key} FROM {table} ORDER BY random() LIMIT {random.choice([3, 100, 100_000])})"
        async with self.database.transaction() as connection:
            changed = statement.format(table=table, chosen=chosen, number=random.randrange(10**6))
            result = await connection.execute(text(changed))
            transaction = (await connection.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one()
        if result.rowcount:
            await self.feed.wait_for_transaction(int(transaction))


@pytest.fixture(scope="module")
def caching(postgres: URL, template: URL) -> Iterator[CachingHarness]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(create_database(postgres, "oracle_kept", template=TEMPLATE))
        database = DatabaseWithLongProbe(url, pool_size=5)
        harness = CachingHarness(runner, database)
        try:
            yield harness
        finally:
            runner.run(_close(harness))


async def _close(harness: CachingHarness) -> None:
    harness.listening.cancel()
    with suppress(asyncio.CancelledError):
        await harness.listening
    await harness.database.close()


# A coin by its symbol is twice as likely: its tags are the most specific.
ROOT_LISTS = st.lists(st.sampled_from([*ROOTS, "cryptocurrency", "cryptocurrency"]), min_size=1, max_size=2)


@settings(SEEDED, max_examples=15)
@given(random=st.randoms(use_true_random=True), roots=st.lists(ROOT_LISTS, min_size=2, max_size=2))
def test_a_cached_answer_is_up_to_date(
    caching: CachingHarness, pool: ValuePool, random: Random, roots: list[list[str]]
) -> None:
    symbol = random.choice([coin.symbol for coin in caching.world.all(Cryptocurrency)])
    operations = [
        *(operation(random, caching.evaluator.schema, pool, names) for names in roots),
        *(Operation(text, {"symbol": symbol}) for text in random.sample(HANDWRITTEN, 3)),
    ]
    before = [caching.answer_from_cache(one) for one in operations]
    for _ in range(3):
        caching.runner.run(caching.write(random))
        for position, one in enumerate(operations):
            now = without_current_time(caching.answer(one))
            assert caching.answer_from_cache(one) == now, one
            caching.changed += before[position] != now
            before[position] = now


def test_enough_answers_were_cached_and_enough_changed(caching: CachingHarness) -> None:
    """Otherwise the test before proves little. It must run first, in the same process."""
    assert caching.sources[Source.MEMORY] > 100
    assert caching.sources[Source.MISS] > 60
    assert caching.changed > 30
