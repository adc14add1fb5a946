"""Settling: which candle settles a prediction, repeated runs, and late or changed candles."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db.engine import Database
from db.intervals import INTERVALS
from db.settle import settle
from tests.db.locks import until_waiting_for_a_lock

HOUR = timedelta(hours=1)
NOON = datetime(2025, 6, 28, 12, tzinfo=UTC)
# A recording time so early that a run does not process the candle again.
LONG_AGO = datetime(2025, 7, 1, tzinfo=UTC)
PUT_CANDLE = text("""
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source, created_at
) VALUES (:coin_id, :at, :price, :price, :price, :price, 1, 'test', :recorded)
ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET
    open_price = :price, high_price = :price, low_price = :price, close_price = :price, created_at = :recorded
""")

ADD_PREDICTIONS = text("""
INSERT INTO predictions (cryptocurrency_id, model_id, prediction_timestamp, target_timestamp, predicted_price)
SELECT :coin_id, :model_id, target - interval '1 day', target, :price
FROM unnest(CAST(:targets AS timestamptz[])) WITH ORDINALITY AS t (target, place)
ORDER BY place
RETURNING id
""")


@pytest.fixture
async def model_id(database: Database) -> int:
    async with database.transaction() as connection:
        added = await connection.execute(text("INSERT INTO models (name, version) VALUES ('test', '1') RETURNING id"))
        return int(added.scalar_one())


async def add_coin(database: Database, symbol: str = "BTC", interval: str = "H1") -> int:
    coin = text(
        "INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES (:symbol, '', :interval) RETURNING id"
    )
    async with database.transaction() as connection:
        added = await connection.execute(coin, {"symbol": symbol, "interval": interval})
        return int(added.scalar_one())


async def put_candles(
    database: Database, coin_id: int, closes: dict[datetime, float], *, recorded: datetime | None = None
) -> None:
    """Insert candles by open time, or change their closes. recorded: their created_at, by default now."""
    rows = [
        {"coin_id": coin_id, "at": at, "price": price, "recorded": recorded or datetime.now(UTC)}
        for at, price in closes.items()
    ]
    async with database.transaction() as connection:
        await connection.execute(PUT_CANDLE, rows)


async def predict(
    database: Database, coin_id: int, model_id: int, targets: Sequence[datetime], price: float = 110.0
) -> list[int]:
    parameters = {"coin_id": coin_id, "model_id": model_id, "targets": list(targets), "price": price}
    async with database.transaction() as connection:
        return sorted((await connection.execute(ADD_PREDICTIONS, parameters)).scalars())


async def run(database: Database, *, everything: bool = False) -> int:
    async with database.transaction() as connection:
        return await settle(connection, everything=everything)


async def actuals(database: Database) -> dict[int, float | None]:
    rows = await database.fetch_rows(text("SELECT id, actual_price FROM predictions ORDER BY id"))
    return {row.id: row.actual_price for row in rows}


async def test_error_is_the_signed_percentage_of_the_actual_price(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 200.0})
    await predict(database, coin, model_id, [NOON + HOUR], price=150.0)
    before = datetime.now(UTC)
    assert await run(database) == 1
    ((price, error, settled_at),) = await database.fetch_rows(
        text("SELECT actual_price, error, settled_at FROM predictions")
    )
    assert (price, error) == (200.0, -25.0)
    assert before - timedelta(seconds=1) < settled_at < datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("closes", "target", "actual"),
    [
        pytest.param({NOON: 1.0}, NOON + HOUR, 1.0, id="it closes at the target"),
        pytest.param({NOON: 1.0}, NOON + HOUR - timedelta(microseconds=1), None, id="it closes just after the target"),
        pytest.param({NOON: 1.0}, NOON + 2 * HOUR, 1.0, id="it closed one interval before the target"),
        pytest.param({NOON: 1.0}, NOON + 2 * HOUR + timedelta(microseconds=1), None, id="it closed earlier than that"),
        pytest.param({NOON: 1.0, NOON + HOUR: 2.0}, NOON + 2 * HOUR, 2.0, id="the last one counts"),
        pytest.param({NOON: 1.0, NOON + HOUR: 2.0}, NOON + 1.5 * HOUR, 1.0, id="the last one that has closed counts"),
        pytest.param({NOON - HOUR: 1.0, NOON + HOUR: 2.0}, NOON + 1.5 * HOUR, None, id="its candle is missing"),
        pytest.param({NOON: 0.0}, NOON + HOUR, None, id="a close of 0 settles nothing"),
        pytest.param({NOON: 1e-300}, NOON + HOUR, None, id="an error beyond a double settles nothing"),
        pytest.param({NOON - HOUR: 1.0, NOON: 0.0}, NOON + HOUR, None, id="a close of 0 is not skipped"),
        pytest.param({}, NOON + HOUR, None, id="no candles"),
    ],
)
async def test_the_candle_that_settles_a_prediction(
    database: Database, model_id: int, closes: dict[datetime, float], target: datetime, actual: float | None
) -> None:
    coin, other = await add_coin(database), await add_coin(database, "ETH")
    await put_candles(database, other, {NOON - HOUR: 7.0, NOON: 7.0, NOON + HOUR: 7.0})
    if closes:
        await put_candles(database, coin, closes)
    (prediction,) = await predict(database, coin, model_id, [target])
    assert await run(database) == (actual is not None)
    assert await actuals(database) == {prediction: actual}


async def test_a_prediction_out_of_range_does_not_stop_the_others(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 1.0})
    (absurd,) = await predict(database, coin, model_id, [NOON + HOUR], price=1.7e308)
    (sane,) = await predict(database, coin, model_id, [NOON + HOUR])
    assert await run(database) == 1
    assert await actuals(database) == {absurd: None, sane: 1.0}


@pytest.mark.parametrize("interval", INTERVALS)
async def test_the_interval_is_that_of_the_coin(database: Database, model_id: int, interval: str) -> None:
    coin = await add_coin(database, interval=interval)
    monday, length = datetime(2025, 6, 2, tzinfo=UTC), INTERVALS[interval]
    await put_candles(database, coin, {monday: 5.0})
    tick = timedelta(microseconds=1)
    targets = [monday + length - tick, monday + length, monday + 2 * length, monday + 2 * length + tick]
    await predict(database, coin, model_id, targets)
    await run(database)
    assert list((await actuals(database)).values()) == [None, 5.0, 5.0, None]


async def test_a_target_in_the_future_is_not_settled(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    await put_candles(database, coin, {hour - HOUR: 5.0, hour: 6.0})
    past, future = await predict(database, coin, model_id, [hour, hour + HOUR])
    for everything in (False, True):
        await run(database, everything=everything)
        assert await actuals(database) == {past: 5.0, future: None}


async def test_a_second_run_writes_nothing(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0})
    await predict(database, coin, model_id, [NOON + HOUR])
    versions = text("SELECT xmin::text, settled_at FROM predictions")
    assert await run(database) == 1
    written = await database.fetch_rows(versions)
    assert [await run(database), await run(database, everything=True)] == [0, 0]
    assert await database.fetch_rows(versions) == written


async def test_a_late_candle_settles_affected_predictions_again(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0}, recorded=LONG_AGO)
    at_close, later, unknown = await predict(database, coin, model_id, [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR])
    await run(database)
    assert await actuals(database) == {at_close: 5.0, later: 5.0, unknown: None}
    await put_candles(database, coin, {NOON + HOUR: 6.0})
    assert await run(database) == 2
    assert await actuals(database) == {at_close: 5.0, later: 6.0, unknown: 6.0}


async def test_a_changed_candle_settles_affected_predictions_again(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0, NOON + HOUR: 6.0}, recorded=LONG_AGO)
    first, second = await predict(database, coin, model_id, [NOON + HOUR, NOON + 2 * HOUR])
    await run(database)
    await put_candles(database, coin, {NOON + HOUR: 8.0})
    assert await run(database) == 1
    assert await actuals(database) == {first: 5.0, second: 8.0}
    errors = await database.fetch_rows(text("SELECT error FROM predictions ORDER BY id"))
    assert [row.error for row in errors] == [100 * (110 - 5.0) / 5.0, 100 * (110 - 8.0) / 8.0]


async def test_everything_includes_candles_that_were_recorded_long_ago(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0}, recorded=LONG_AGO)
    (prediction,) = await predict(database, coin, model_id, [NOON + HOUR])
    await run(database)
    await put_candles(database, coin, {NOON: 8.0}, recorded=LONG_AGO)
    assert await run(database) == 0
    assert await run(database, everything=True) == 1
    assert await actuals(database) == {prediction: 8.0}


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM market_data", "UPDATE market_data SET low_price = 0, close_price = 0, created_at = now()"],
)
async def test_a_settled_prediction_never_becomes_unsettled(database: Database, model_id: int, change: str) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0})
    (prediction,) = await predict(database, coin, model_id, [NOON + HOUR])
    await run(database)
    async with database.transaction() as connection:
        await connection.execute(text(change))
    assert [await run(database), await run(database, everything=True)] == [0, 0]
    assert await actuals(database) == {prediction: 5.0}


async def test_a_second_run_waits_for_the_first(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0})
    await predict(database, coin, model_id, [NOON + HOUR])
    async with database.transaction() as connection:
        assert await settle(connection) == 1
        second = asyncio.create_task(run(database))
        await until_waiting_for_a_lock(database)
        assert not second.done()
    assert await second == 0


async def test_concurrent_runs_write_each_prediction_once(database: Database, model_id: int) -> None:
    coin = await add_coin(database)
    times = [NOON + n * HOUR for n in range(500)]
    await put_candles(database, coin, dict.fromkeys(times, 5.0))
    await predict(database, coin, model_id, [at + HOUR for at in times])
    written = await asyncio.gather(*(run(database) for _ in range(4)))
    assert sorted(written) == [0, 0, 0, 500]


async def test_timeouts_end_with_the_transaction(database: Database) -> None:
    settings = text("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
    for _ in range(5):
        await run(database)
        assert await database.fetch_rows(settings) == [("10s", "5s")]


def evaluate(closes: dict[datetime, float], length: timedelta, target: datetime) -> float | None:
    """The actual price by a direct implementation of the rule; None if the prediction cannot be settled."""
    closed = [at for at in closes if at + length <= target]
    if not closed or max(closed) + length < target - length:
        return None
    return closes[max(closed)] or None


@pytest.mark.parametrize("seed", range(5))
async def test_settling_equals_a_direct_evaluation(database: Database, model_id: int, seed: int) -> None:
    """Random candles with gaps and zeros and random targets; then random candles arrive late or change."""
    chance = random.Random(seed)
    intervals = {await add_coin(database, name, name): INTERVALS[name] for name in ("M1", "M5", "H1", "H4", "D1", "W1")}
    stored: dict[int, dict[datetime, float]] = {coin: {} for coin in intervals}
    targets: dict[int, tuple[int, datetime]] = {}
    expected: dict[int, float | None] = {}
    monday = datetime(2025, 6, 2, tzinfo=UTC)
    for coin, length in intervals.items():
        ticks = (timedelta(0), timedelta(microseconds=1), -timedelta(microseconds=1), length * chance.random())
        times = [monday + chance.randrange(-2, 28) * length + chance.choice(ticks) for _ in range(60)]
        ids = await predict(database, coin, model_id, times)
        targets |= {number: (coin, target) for number, target in zip(ids, times, strict=True)}
    for share in (0.5, 0.2, 0.2, 0.0):
        for coin, length in intervals.items():
            changed = {
                monday + slot * length: chance.choice((0.0, *range(1, 1000)))
                for slot in range(25)
                if chance.random() < share
            }
            if changed:
                await put_candles(database, coin, changed)
            stored[coin] |= changed
        found = {number: evaluate(stored[coin], intervals[coin], target) for number, (coin, target) in targets.items()}
        after = {number: price or expected.get(number) for number, price in found.items()}
        assert await run(database) == sum(after[number] != expected.get(number) for number in after)
        assert await actuals(database) == after
        expected = after
    assert any(price is None for price in expected.values())
    assert any(expected.values())


async def test_a_run_processes_only_candles_recorded_since_the_newest_settling(
    database: Database, model_id: int
) -> None:
    """With a margin of an hour: a transaction may commit that long after its candles were recorded."""
    coin = await add_coin(database)
    await put_candles(database, coin, {NOON: 5.0}, recorded=LONG_AGO)
    await predict(database, coin, model_id, [NOON + HOUR])
    await run(database)
    settled_at = await database.fetch_value(text("SELECT settled_at FROM predictions"))
    written = []
    for minutes in (61, 59):
        await put_candles(database, coin, {NOON: 4.0}, recorded=settled_at - timedelta(minutes=minutes))
        written.append(await run(database))
    assert written == [0, 1]
