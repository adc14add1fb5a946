"""Generated operations, while their rows change: what is kept is what would be read now."""

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
from tests.application import GENEROUS, asked, context_of
from tests.conftest import TEMPLATE, create_database
from tests.graph.oracle.harness import Bench, PatientDatabase
from tests.graph.oracle.operations import operation
from tests.graph.oracle.properties import SEEDED
from tests.graph.oracle.records import Cryptocurrency
from tests.graph.oracle.reduction import Operation
from tests.graph.oracle.rows import nasty_rows
from tests.graph.oracle.test_plans import ROOTS, _timeless
from tests.graph.oracle.values import Pool

RENAMED = "CASE WHEN right(symbol, 1) = '~' THEN left(symbol, -1) ELSE symbol || '~' END"
# Table, key, and what becomes of rows that are chosen at random.
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


# Of one coin, and of all.
BROAD = """name latest { close volume } candles(last: 50) { volume }
  predictions(first: 20) { nodes { confidence model { type } actual { directionCorrect } } }
  signals(first: 20) { totalCount nodes { confidence strategy { description } trades { nodes { pnl } } } }
  trades(first: 20) { nodes { pnl signal { confidence cryptocurrency { symbol } } } } sentiment { nodes { text } }"""
HANDMADE = [
    f"query($symbol: String!) {{ cryptocurrency(symbol: $symbol) {{ {BROAD} }} }}",
    f"{{ cryptocurrencies(first: 5) {{ nodes {{ {BROAD} }} }} }}",
    "query($symbol: String!) { cryptocurrency(symbol: $symbol) { candles(interval: D1, last: 20) { volume source } } }",
    "query($symbol: String!) { signals(filter: {symbol: $symbol}) { nodes { confidence cryptocurrency { name } } } }",
    "{ trades { totalCount nodes { pnl } } alerts { nodes { message } } strategies { nodes { description } } }",
    "{ models { nodes { type predictions(first: 5) { nodes { confidence cryptocurrency { symbol name } } } } } }",
]


class Listening(ChangeFeed):
    """A change feed that tests can wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0
        self.news = asyncio.Event()

    def on_resync(self, *where: str) -> None:
        super().on_resync(*where)
        self.news.set()

    def on_change(self, transaction: int, *change: Any) -> None:
        super().on_change(transaction, *change)
        self.last = transaction
        self.news.set()

    async def has_heard(self, transaction: int) -> None:
        async with asyncio.timeout(10):
            while self.last < transaction:
                self.news.clear()
                await self.news.wait()


class KeepingBench(Bench):
    """A bench whose rows change, with a second way to answer: from what is kept."""

    def __init__(self, runner: asyncio.Runner, database: PatientDatabase) -> None:
        super().__init__(runner, database, nasty_rows())
        self.feed = Listening()
        cache = AnswerCache(self.feed)
        self.keeping = Pipeline(create_schema(), context_of(database, self.feed, cache), rules=GENEROUS)
        self.sources: Counter[Source] = Counter()
        self.changed = 0
        self.listening = runner.run(self._listen())

    async def _listen(self) -> asyncio.Task[None]:
        listening = asyncio.create_task(listen(self.database, self.feed))
        async with asyncio.timeout(10):
            await self.feed.news.wait()
        return listening

    def ask(self, operation: Operation) -> Any:
        answer = self.runner.run(self.keeping.answer(asked(operation.text, operation.variables)))
        self.sources[answer.source] += 1
        return _timeless(orjson.loads(answer.body))

    async def write(self, random: Random) -> None:
        table, key, statement = random.choice(WRITES)
        chosen = f"({key}) IN (SELECT {key} FROM {table} ORDER BY random() LIMIT {random.choice([3, 100, 100_000])})"
        async with self.database.transaction() as connection:
            changed = statement.format(table=table, chosen=chosen, number=random.randrange(10**6))
            written = await connection.execute(text(changed))
            transaction = (await connection.execute(text("SELECT pg_current_xact_id()::text"))).scalar_one()
        if written.rowcount:
            await self.feed.has_heard(int(transaction))


@pytest.fixture(scope="module")
def keeping(postgres: URL, template: URL) -> Iterator[KeepingBench]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(create_database(postgres, "oracle_kept", template=TEMPLATE))
        database = PatientDatabase(url, pool_size=5)
        bench = KeepingBench(runner, database)
        try:
            yield bench
        finally:
            runner.run(_ended(bench))


async def _ended(bench: KeepingBench) -> None:
    bench.listening.cancel()
    with suppress(asyncio.CancelledError):
        await bench.listening
    await bench.database.close()


# A root field for each, at the least; a coin by its symbol is what is kept most finely.
DRAWN = st.lists(st.sampled_from([*ROOTS, "cryptocurrency", "cryptocurrency"]), min_size=1, max_size=2)


@settings(SEEDED, max_examples=15)
@given(random=st.randoms(use_true_random=True), roots=st.lists(DRAWN, min_size=2, max_size=2))
def test_what_is_kept_is_what_is_there(
    keeping: KeepingBench, pool: Pool, random: Random, roots: list[list[str]]
) -> None:
    symbol = random.choice([coin.symbol for coin in keeping.world.all(Cryptocurrency)])
    drawn = [
        *(operation(random, keeping.evaluator.schema, pool, names) for names in roots),
        *(Operation(text, {"symbol": symbol}) for text in random.sample(HANDMADE, 3)),
    ]
    before = [keeping.ask(one) for one in drawn]
    for _ in range(3):
        keeping.runner.run(keeping.write(random))
        for position, one in enumerate(drawn):
            now = _timeless(keeping.answer(one))
            assert keeping.ask(one) == now, one
            keeping.changed += before[position] != now
            before[position] = now


def test_enough_was_kept_and_enough_changed(keeping: KeepingBench) -> None:
    """Or the test before would show little."""
    assert keeping.sources[Source.MEMORY] > 100
    assert keeping.sources[Source.MISS] > 60
    assert keeping.changed > 30
