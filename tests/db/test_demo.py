"""The demo data must be right (its parts agree with each other) and realistic (it behaves like a market)."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest
from sqlalchemy import URL, text

from db import demo
from db.demo.loading import generate
from db.demo.period import Period
from db.engine import Database
from db.settle import settle

# In the past, so that to the database's own clock every target has passed.
NOW = datetime(2025, 11, 10, 14, 23, 45, tzinfo=UTC)
TABLES = {
    "cryptocurrencies": "id",
    "market_data": "id",
    "models": "id",
    "predictions": "id",
    "users": "user_id",
    "trading_strategies": "strategy_id",
    "signals": "signal_id",
    "trades": "trade_id",
    "sentiment_data": "sentiment_id",
    "alerts": "alert_id",
}
# Written anew, so that the generator is not checked against itself: the close that was known when each prediction was
# made, and the one that it is settled by.
OUTCOMES = """
WITH outcomes AS (
    SELECT p.*, m.name AS model, before.close_price AS last_close, after.close_price AS expected_actual,
           extract(epoch FROM target_timestamp - prediction_timestamp) / 3600 AS horizon
    FROM predictions p
    JOIN models m ON m.id = p.model_id
    LEFT JOIN market_data before ON before.cryptocurrency_id = p.cryptocurrency_id
        AND before.timestamp + interval '1 hour' = p.prediction_timestamp
    LEFT JOIN LATERAL (
        SELECT close_price, timestamp + interval '1 hour' AS closed_at FROM market_data c
        WHERE c.cryptocurrency_id = p.cryptocurrency_id AND c.timestamp + interval '1 hour' <= p.target_timestamp
        ORDER BY c.timestamp DESC LIMIT 1
    ) after ON after.closed_at >= p.target_timestamp - interval '1 hour' AND p.target_timestamp <= :now
)
"""


@dataclass(frozen=True)
class Loaded:
    url: URL
    rows: dict[str, int]
    seconds: float
    steps: list[tuple[str, int, int]]


@pytest.fixture(scope="module")
def loaded(postgres: URL, template: URL) -> Loaded:
    """One load for all tests that only look at it."""

    async def prepare() -> Loaded:
        server = Database(postgres, pool_size=1)
        async with server.engine.connect() as connection:
            await connection.execute(text(f'CREATE DATABASE test_demo TEMPLATE "{template.database}"'))
        await server.close()
        database = Database(postgres.set(database="test_demo"), pool_size=1)
        steps: list[tuple[str, int, int]] = []
        started = time.perf_counter()
        rows = await demo.load(database, NOW, lambda *step: steps.append(step))
        seconds = time.perf_counter() - started
        await database.close()
        return Loaded(postgres.set(database="test_demo"), rows, seconds, steps)

    return asyncio.run(prepare())


@pytest.fixture
async def filled(loaded: Loaded) -> AsyncIterator[Database]:
    database = Database(loaded.url, pool_size=1)
    yield database
    assert database.pool_in_use == 0
    await database.close()


async def ask(database: Database, statement: str) -> list[Any]:
    # An aware time instead of a parameter keeps the statements readable.
    return await database.fetch_rows(text(statement.replace(":now", f"timestamptz '{NOW.isoformat()}'")))


async def ask_one(database: Database, statement: str) -> Any:
    return (await ask(database, statement))[0]


async def digest(database: Database) -> dict[str, str]:
    return {
        table: (await ask_one(database, f"SELECT md5(string_agg(t::text, '|' ORDER BY {key})) FROM {table} t"))[0]
        for table, key in TABLES.items()
    }


class TestLoading:
    async def test_is_quick_and_counts_its_rows(self, loaded: Loaded, filled: Database) -> None:
        assert loaded.seconds < 10
        counted = {table: (await ask_one(filled, f"SELECT count(*) FROM {table}"))[0] for table in TABLES}
        assert loaded.rows == counted
        assert counted["market_data"] == 5 * 2160
        assert 10_000 <= counted["predictions"] <= 20_000
        assert 1_000 <= counted["signals"] <= 2_000
        assert 40 <= counted["alerts"] <= 60

    def test_reports_its_progress(self, loaded: Loaded) -> None:
        done = [step[1] for step in loaded.steps]
        assert done == sorted(done)
        assert {step[2] for step in loaded.steps} == {done[-1]} == {sum(loaded.rows.values())}
        assert {step[0] for step in loaded.steps} == set(TABLES)

    async def test_a_second_load_changes_nothing(self, filled: Database) -> None:
        before = await digest(filled)
        assert await demo.load(filled, NOW + timedelta(days=1)) == {}
        assert await digest(filled) == before

    async def test_two_processes_load_once_and_the_same_as_everywhere(
        self, database: Database, filled: Database
    ) -> None:
        loads = await asyncio.gather(demo.load(database, NOW), demo.load(database, NOW))
        assert sorted(map(bool, loads)) == [False, True]
        assert await digest(database) == await digest(filled)

    async def test_leaves_a_database_alone_that_is_not_empty(self, database: Database) -> None:
        async with database.transaction() as connection:
            await connection.execute(text("INSERT INTO users (username, password_hash) VALUES ('Demo', 'x')"))
        assert await demo.load(database, NOW) == {}
        assert (await ask_one(database, "SELECT count(*) FROM cryptocurrencies"))[0] == 0

    async def test_new_rows_continue_the_identities(self, loaded: Loaded, filled: Database) -> None:
        for table, key in TABLES.items():
            following = await ask_one(filled, f"SELECT nextval(pg_get_serial_sequence('{table}', '{key}'))")
            assert following[0] == loaded.rows[table] + 1, table

    async def test_a_time_without_an_offset_is_rejected(self, database: Database) -> None:
        with pytest.raises(ValueError, match="offset"):
            await demo.load(database, NOW.replace(tzinfo=None))


class TestGenerating:
    def test_the_same_time_gives_the_same_rows(self) -> None:
        assert generate(Period.until(NOW)) == generate(Period.until(NOW))

    def test_offset_and_minute_do_not_matter_to_what_has_closed(self) -> None:
        elsewhere = (NOW + timedelta(minutes=9)).astimezone(timezone(timedelta(hours=5, minutes=30)))
        assert generate(Period.until(elsewhere))["market_data"] == generate(Period.until(NOW))["market_data"]

    @pytest.mark.parametrize(
        "now", [datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 7, 1, 5, 59, 59, 999999, tzinfo=UTC)]
    )
    def test_it_is_right_at_any_time(self, now: datetime) -> None:
        tables = generate(Period.until(now))
        newest: Any = tables["market_data"][-1]
        assert timedelta(0) <= now - (newest.timestamp + timedelta(hours=1)) < timedelta(hours=1)
        assert latest_event(tables) <= now
        naive, reverting, boosting = (model.accuracy for model in rows(tables, "models"))
        assert naive is None
        assert 0.5 < reverting < 0.55 < boosting < 0.62
        kinds = {(trade.trade_type, trade.status) for trade in rows(tables, "trades")}
        assert {side for side, _ in kinds} == {"BUY", "SELL"}
        assert {status for _, status in kinds} == {"PENDING", "EXECUTED", "FAILED"}
        results = [trade.pnl for trade in rows(tables, "trades") if trade.pnl is not None]
        assert abs(sum(results)) < 10_000


def rows(tables: dict[str, Sequence[NamedTuple]], table: str) -> Any:
    return tables[table]


def latest_event(tables: dict[str, Sequence[NamedTuple]]) -> datetime:
    """The newest of all times but targets, which lie in the future by their nature."""
    return max(
        value
        for table in tables
        for row in rows(tables, table)
        for name, value in row._asdict().items()
        if isinstance(value, datetime) and name != "target_timestamp"
    )


class TestCandles:
    async def test_every_hour_follows_from_the_one_before(self, filled: Database) -> None:
        broken = await ask(
            filled,
            """
            SELECT * FROM (
                SELECT *, lag(close_price) OVER coin AS closed, lag(timestamp) OVER coin AS previous FROM market_data
                WINDOW coin AS (PARTITION BY cryptocurrency_id ORDER BY timestamp)
            ) c
            WHERE open_price <> closed OR timestamp - previous <> interval '1 hour'
               OR high_price < greatest(open_price, close_price) OR low_price > least(open_price, close_price)
               OR low_price <= 0 OR volume <= 0 OR market_cap <= 0 OR date_trunc('hour', timestamp) <> timestamp
            """,
        )
        assert broken == []

    async def test_every_coin_has_ninety_days_up_to_the_last_closed_hour(self, filled: Database) -> None:
        coins = await ask(
            filled,
            """
            SELECT symbol, base_interval, count(*), max(timestamp) + interval '1 hour', array_agg(DISTINCT data_source)
            FROM market_data JOIN cryptocurrencies c ON c.id = cryptocurrency_id GROUP BY c.id ORDER BY c.id
            """,
        )
        end = NOW.replace(minute=0, second=0)
        assert [tuple(coin) for coin in coins] == [
            (symbol, "H1", 2160, end, ["demo"]) for symbol in ("BTC", "ETH", "BNB", "SOL", "ADA")
        ]

    async def test_they_behave_like_a_market(self, filled: Database) -> None:
        behaviour = await ask(
            filled,
            """
            WITH moves AS (
                SELECT cryptocurrency_id AS coin, timestamp, ln(close_price / open_price) AS move,
                       ln(high_price / low_price) AS span, volume FROM market_data
            ), followed AS (
                SELECT *, lag(move) OVER (PARTITION BY coin ORDER BY timestamp) AS before FROM moves
            )
            SELECT f.coin, stddev(f.move) AS volatility, corr(abs(f.move), abs(before)) AS clusters,
                   corr(f.move, before) AS trend, avg(f.move ^ 4) / avg(f.move ^ 2) ^ 2 AS kurtosis,
                   corr(ln(nullif(f.span, 0)), ln(f.volume)) AS volume_follows, corr(f.move, btc.move) AS with_bitcoin
            FROM followed f JOIN moves btc USING (timestamp) WHERE btc.coin = 1 GROUP BY f.coin
            """,
        )
        assert len(behaviour) == 5
        for coin in behaviour:
            assert 0.003 < coin.volatility < 0.010
            assert coin.clusters > 0.1
            assert abs(coin.trend) < 0.1
            assert 4 < coin.kurtosis < 20
            assert coin.volume_follows > 0.6
            assert coin.with_bitcoin > 0.5


class TestPredictions:
    async def test_they_are_settled_as_the_candles_say(self, filled: Database) -> None:
        wrong = await ask_one(
            filled,
            OUTCOMES
            + """
            SELECT count(*) FROM outcomes WHERE actual_price IS DISTINCT FROM expected_actual
                OR error IS DISTINCT FROM 100 * (predicted_price - expected_actual) / expected_actual
            """,
        )
        assert wrong[0] == 0

    async def test_most_are_settled_some_are_pending_and_a_few_void(self, filled: Database) -> None:
        share, pending, void = await ask_one(
            filled,
            """
            SELECT count(settled_at)::float / count(*),
                   count(*) FILTER (WHERE settled_at IS NULL AND target_timestamp > :now),
                   count(*) FILTER (WHERE settled_at IS NULL AND target_timestamp <= :now)
            FROM predictions
            """,
        )
        assert share > 0.98
        assert pending >= 45  # at least the newest of every coin, model and horizon
        assert void == 15  # made and due before the first candle

    async def test_settling_agrees(self, filled: Database) -> None:
        async with filled.engine.connect() as connection:
            await connection.execution_options(isolation_level="READ COMMITTED")
            before = (await connection.execute(text("SELECT count(settled_at) FROM predictions"))).scalar_one()
            written = await settle(connection, everything=True)
            count = text("SELECT count(*) FROM predictions WHERE settled_at <= :now")
            kept = (await connection.execute(count, {"now": NOW})).scalar_one()
            await connection.rollback()
        assert kept == before
        # The hour after the last candle may be settled by that candle; what is due later has none near enough.
        assert written == 15

    async def test_nothing_is_settled_before_its_candle_was_stored(self, filled: Database) -> None:
        early = await ask_one(
            filled,
            """
            SELECT count(*) FROM predictions p JOIN market_data c ON c.cryptocurrency_id = p.cryptocurrency_id
                AND c.timestamp + interval '1 hour' = p.target_timestamp
            WHERE p.settled_at < c.created_at OR p.settled_at < p.target_timestamp OR p.settled_at > :now
            """,
        )
        assert early[0] == 0

    async def test_the_models_differ_in_skill_as_their_metrics_say(self, filled: Database) -> None:
        skills = await ask(
            filled,
            OUTCOMES
            + """
            SELECT m.name, m.accuracy, m.auc,
                   avg((sign(predicted_price - last_close) = sign(o.actual_price - last_close))::int)
                       FILTER (WHERE predicted_price <> last_close AND o.actual_price <> last_close)::float AS correct,
                   avg(abs(error)) FILTER (WHERE last_close IS NOT NULL) AS error,
                   bool_and(predicted_price = last_close) AS repeats
            FROM outcomes o JOIN models m ON m.id = model_id GROUP BY m.id ORDER BY m.id
            """,
        )
        naive, reverting, boosting = skills
        assert (naive.name, naive.accuracy, naive.correct, naive.auc) == ("naive", None, None, 0.5)
        assert naive.repeats
        assert 0.5 < reverting.correct < 0.55 < boosting.correct < 0.62
        assert boosting.error < naive.error
        for model in (reverting, boosting):
            assert model.accuracy == pytest.approx(model.correct, abs=0.0001)
            assert model.correct < model.auc < model.correct + 0.05

    async def test_errors_are_plausible(self, filled: Database) -> None:
        errors = await ask(
            filled,
            OUTCOMES
            + """
            SELECT horizon, avg(error) AS bias, avg(abs(error)) AS size, max(abs(error)) AS worst
            FROM outcomes WHERE error IS NOT NULL GROUP BY horizon ORDER BY horizon
            """,
        )
        assert [int(one.horizon) for one in errors] == [1, 4, 24]
        sizes = [one.size for one in errors]
        assert 0.2 < sizes[0] < sizes[1] < sizes[2] < 4
        assert all(abs(one.bias) < one.size / 3 and one.worst < 25 for one in errors)


class TestSignalsAndTrades:
    async def test_a_signal_says_what_its_prediction_says(self, filled: Database) -> None:
        wrong = await ask_one(
            filled,
            OUTCOMES
            + """
            SELECT count(*) FROM signals s
            JOIN trading_strategies t USING (strategy_id)
            LEFT JOIN outcomes p ON p.id = s.prediction_id
                AND p.cryptocurrency_id = s.cryptocurrency_id AND p.model_id = s.model_id
            CROSS JOIN LATERAL (SELECT 100 * (predicted_price / last_close - 1) AS expected) e
            WHERE p.id IS NULL OR s.timestamp < p.prediction_timestamp OR s.timestamp >= p.target_timestamp
               OR abs(expected - (s.extra_data ->> 'expected_return_percent')::float) > 0.001
               OR t.parameters ->> 'model' <> p.model
               OR s.signal_type <> 'HOLD'
                  AND (abs(expected) < (t.parameters ->> 'threshold_percent')::float
                       OR (s.signal_type = 'BUY') <> (expected > 0))
            """,
        )
        assert wrong[0] == 0

    async def test_a_trade_follows_its_signal_at_a_price_near_the_market(self, filled: Database) -> None:
        wrong = await ask_one(
            filled,
            OUTCOMES
            + """
            SELECT count(*) FROM trades t LEFT JOIN signals s ON s.signal_id = t.signal_id
                AND s.cryptocurrency_id = t.cryptocurrency_id AND s.signal_type = t.trade_type
            LEFT JOIN outcomes p ON p.id = s.prediction_id
            WHERE p.id IS NULL OR t.timestamp < s.timestamp OR t.timestamp > s.timestamp + interval '1 minute'
               OR abs(t.price / p.last_close::numeric - 1) > 0.005 OR t.price * t.quantity NOT BETWEEN 900 AND 2501
               OR NOT t.is_paper_trade OR scale(trim_scale(t.price)) > 4 OR scale(trim_scale(t.quantity)) > 5
            """,
        )
        assert wrong[0] == 0

    async def test_pnl_is_what_the_market_gave_after_fees(self, filled: Database) -> None:
        wrong = await ask_one(
            filled,
            """
            SELECT count(*) FROM trades t JOIN signals s USING (signal_id) JOIN predictions p ON p.id = prediction_id
            CROSS JOIN LATERAL (
                SELECT round(quantity * (CASE trade_type WHEN 'BUY' THEN 1 ELSE -1 END * (actual_price::numeric - price)
                                         - 0.0004 * (actual_price::numeric + price)), 2) AS result
            ) e
            WHERE t.pnl IS DISTINCT FROM CASE status WHEN 'EXECUTED' THEN e.result END
            """,
        )
        assert wrong[0] == 0

    async def test_results_are_realistic(self, filled: Database) -> None:
        result = await ask_one(
            filled,
            """
            SELECT sum(pnl) / sum(price * quantity) AS share, min(pnl) AS worst, max(pnl) AS best,
                   avg((pnl > 0)::int) AS won, count(*) FILTER (WHERE status = 'FAILED') AS failed,
                   count(*) FILTER (WHERE status = 'PENDING') AS pending, count(pnl) AS closed
            FROM trades
            """,
        )
        assert abs(result.share) < 0.02
        assert -500 < result.worst < -20
        assert 20 < result.best < 500
        assert 0.4 < result.won < 0.7
        assert result.closed > 10 * result.failed > 0
        assert result.pending > 0


class TestTheRest:
    async def test_every_enumeration_appears_whole(self, filled: Database) -> None:
        found = await ask_one(
            filled,
            """
            SELECT (SELECT array_agg(DISTINCT signal_type ORDER BY signal_type) FROM signals),
                   (SELECT array_agg(DISTINCT trade_type ORDER BY trade_type) FROM trades),
                   (SELECT array_agg(DISTINCT status ORDER BY status) FROM trades),
                   (SELECT array_agg(DISTINCT alert_type ORDER BY alert_type) FROM alerts)
            """,
        )
        assert list(found) == [
            ["BUY", "HOLD", "SELL"],
            ["BUY", "SELL"],
            ["EXECUTED", "FAILED", "PENDING"],
            ["SIGNAL", "SYSTEM", "TRADE"],
        ]

    async def test_sentiment_follows_the_price_loosely(self, filled: Database) -> None:
        sources, texts, correlation = await ask_one(
            filled,
            """
            SELECT array_agg(DISTINCT source ORDER BY source), count(DISTINCT text),
                   corr(sentiment_score, ln(now.close_price / day.close_price))
            FROM sentiment_data s
            JOIN market_data now ON now.cryptocurrency_id = s.cryptocurrency_id
                AND now.timestamp = date_trunc('hour', s.timestamp) - interval '1 hour'
            JOIN market_data day ON day.cryptocurrency_id = s.cryptocurrency_id
                AND day.timestamp = now.timestamp - interval '1 day'
            """,
        )
        assert sources == ["news", "reddit", "twitter"]
        assert texts > 200
        assert 0.4 < correlation < 0.9

    async def test_alerts_are_for_everyone_or_one_read_or_not(self, filled: Database) -> None:
        kinds = await ask_one(
            filled,
            """
            SELECT count(*) FILTER (WHERE is_read), count(*) FILTER (WHERE NOT is_read), count(user_id),
                   count(*) - 2 * count(user_id) FROM alerts
            """,
        )
        assert min(kinds) >= 5

    async def test_nobody_can_sign_in_as_the_demo_user(self, filled: Database) -> None:
        assert [tuple(user) for user in await ask(filled, "SELECT username, password_hash FROM users")] == [
            ("demo", "!")
        ]
