"""Rollups follow the candles, whatever client and statement writes them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from sqlalchemy import URL

from db import maintenance, migrate, rollups
from db.engine import Database
from tests.conftest import TEMPLATE, create_database
from tests.db import scratch
from tests.db.scratch import Connection, assert_exact

MONDAY = datetime(2020, 1, 6, tzinfo=UTC)
COINS = """
INSERT INTO cryptocurrencies (id, symbol, name, base_interval)
VALUES (1, 'MIN', '', 'M1'), (2, 'HRS', '', 'H1'), (3, 'DAY', '', 'D1'), (4, 'FOUR', '', 'H4'), (5, 'QRT', '', 'M15')
"""
CANDLES = """
INSERT INTO market_data AS m (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, market_cap, data_source
)
SELECT c.id, at, n + 1, n + 2, n * 0.1, n + 0.5, n * 0.1, NULLIF(n % 5, 0), 's' || n / 70 % 3
FROM cryptocurrencies c, generate_series(0, $1::int) n, LATERAL (
    SELECT timestamptz '2020-01-06' + n * least(c.base_length, interval '7 hours') * $2 AS at
) t
ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET
    close_price = m.open_price, volume = m.volume / 3, data_source = 'again'
"""


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    """One database for all tests of this module."""
    return asyncio.run(create_database(postgres, "rollups", template=TEMPLATE))


@pytest.fixture
async def connection(url: URL) -> AsyncIterator[Connection]:
    """Coins of several intervals with some days of candles, and gaps between them."""
    connection = await scratch.connect(url)
    await connection.execute(f"TRUNCATE cryptocurrencies RESTART IDENTITY CASCADE; {COINS}")
    await connection.execute(CANDLES, 200, 13)
    yield connection
    await connection.close()


async def test_inserted_candles(connection: Connection) -> None:
    await assert_exact(connection)
    of_coin = "SELECT count(*) FILTER (WHERE cryptocurrency_id = $1) > 0, count(*) FILTER (WHERE timestamp IS NULL)"
    found = {
        table: [coin for coin in range(1, 6) if (await connection.fetchrow(f"{of_coin} FROM {table}", coin))[0]]
        for table in ("candle_rollups_h1", "candle_rollups_d1")
    }
    assert found == {"candle_rollups_h1": [1, 5], "candle_rollups_d1": [1, 2, 4, 5]}, "only where candles are shorter"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE market_data SET close_price = open_price, volume = volume * 1.1 WHERE id % 3 = 0",
        "UPDATE market_data SET timestamp = timestamp + interval '1 year' WHERE id % 7 = 0",
        "UPDATE market_data SET timestamp = timestamp - interval '90 minutes', cryptocurrency_id = 5"
        " WHERE cryptocurrency_id = 1 AND id % 2 = 0",
        "UPDATE market_data SET cryptocurrency_id = 3, timestamp = timestamp - interval '3 years'"
        " WHERE cryptocurrency_id = 2",
        "UPDATE market_data SET volume = 0 WHERE false",
        "UPDATE market_data SET data_source = 'mixed'",
        "DELETE FROM market_data WHERE id % 2 = 0",
        "DELETE FROM market_data WHERE cryptocurrency_id = 1 AND timestamp < '2020-01-07 01:00+00'",
        "DELETE FROM market_data",
        "DELETE FROM cryptocurrencies WHERE id IN (1, 2)",
        "TRUNCATE market_data",
        "TRUNCATE cryptocurrencies CASCADE",
        "UPDATE cryptocurrencies SET base_interval = 'M1'",
        "UPDATE cryptocurrencies SET base_interval = 'W1'",
        "UPDATE cryptocurrencies SET base_interval = 'H1' WHERE id IN (1, 3)",
        "WITH moved AS (DELETE FROM market_data WHERE id % 3 = 0 RETURNING *) INSERT INTO market_data"
        " SELECT id, cryptocurrency_id, timestamp + interval '2 years', 1, 1, 1, 1, 1, 1, 'moved' FROM moved",
        "MERGE INTO market_data m USING (SELECT generate_series(1, 2000, 3) AS id) s ON m.id = s.id"
        " WHEN MATCHED AND m.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET high_price = 10000"
        " WHEN NOT MATCHED THEN DO NOTHING",
    ],
)
async def test_changed_candles(connection: Connection, change: str) -> None:
    before = await scratch.rows(connection, "candle_rollups_d1")
    await connection.execute(change)
    await assert_exact(connection)
    if "false" not in change:
        assert await scratch.rows(connection, "candle_rollups_d1") != before


async def test_upserted_candles(connection: Connection) -> None:
    await connection.execute(CANDLES, 300, 7)
    await assert_exact(connection)


async def test_copied_candles(connection: Connection) -> None:
    copied = [(1, MONDAY + n * scratch.MINUTE, 1.0, 2.0, 0.5, 1.5, 0.1, "copy") for n in range(20_000, 24_000)]
    names = scratch.COLUMNS.replace("market_cap, ", "").split(", ")
    await connection.copy_records_to_table("market_data", records=copied, columns=names)
    await assert_exact(connection)


async def test_a_rollback(connection: Connection) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("DELETE FROM market_data WHERE id % 2 = 0")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            "SAVEPOINT s; DELETE FROM market_data WHERE id % 3 = 0; UPDATE market_data SET timestamp = now()"
        )
    await connection.execute("ROLLBACK TO SAVEPOINT s")
    await assert_exact(connection)
    await transaction.rollback()
    await assert_exact(connection)


async def test_a_role_without_privileges_on_rollups(connection: Connection) -> None:
    """Another role, with another search path, as in psql and pg_restore."""
    await connection.execute("""
        CREATE ROLE feed; GRANT SELECT, INSERT, DELETE ON market_data TO feed; GRANT SELECT ON cryptocurrencies TO feed;
        SET search_path = ''; SET ROLE feed; SET timezone = 'Asia/Kathmandu';
        DELETE FROM public.market_data WHERE cryptocurrency_id = 1 AND timestamp < '2020-01-06 05:00+00';
        RESET ROLE; RESET search_path; RESET timezone; DROP OWNED BY feed; DROP ROLE feed;
    """)
    await assert_exact(connection)


async def test_a_sum_beyond_the_range_of_a_double(connection: Connection) -> None:
    await connection.execute("UPDATE market_data SET volume = 1.7e308 WHERE cryptocurrency_id < 3")
    await assert_exact(connection)
    assert max(row.volume for row in await scratch.rows(connection, "candle_rollups_d1")) == float("inf")
    await connection.execute("UPDATE market_data SET volume = 1.7976931348623157e308 * (id % 2)")
    await assert_exact(connection)


async def test_a_base_interval_is_changed_in_read_committed_only(connection: Connection) -> None:
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute("UPDATE cryptocurrencies SET base_interval = 'M1' WHERE id = 2")
    await assert_exact(connection)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("ALTER TABLE market_data DISABLE TRIGGER candlegraph_follow_deletes", "triggers"),
        ("ALTER TABLE cryptocurrencies DISABLE TRIGGER USER", "triggers"),
        ("UPDATE candle_rollups_h1 SET close_price = 0 WHERE timestamp < '2020-01-06 05:00+00'", "hour"),
        ("DELETE FROM candle_rollups_h1 WHERE cryptocurrency_id = 5", "hour"),
        ("UPDATE candle_rollups_d1 SET market_cap = NULL WHERE market_cap IS NOT NULL", "day"),
        ("UPDATE candle_rollups_d1 SET timestamp = timestamp - interval '3653 days'", "day"),
        ("SET session_replication_role = replica; DELETE FROM market_data WHERE id % 2 = 0", "hour"),
    ],
)
async def test_damage_is_found_and_rebuilt(connection: Connection, url: URL, damage: str, what: str) -> None:
    database = Database(url, pool_size=1)
    assert await failed_checks(database) == []
    await connection.execute(damage)
    found = await failed_checks(database)
    assert found
    assert what in found[0]
    await connection.execute("""
        RESET session_replication_role;
        ALTER TABLE market_data ENABLE TRIGGER USER; ALTER TABLE cryptocurrencies ENABLE TRIGGER USER
    """)
    assert await rollups.rebuild(database) == 5
    await assert_exact(connection)
    assert await failed_checks(database) == []
    await database.close()


async def failed_checks(database: Database) -> list[str]:
    checks = [check.condition for check in await maintenance.verify(database) if check.violations]
    return [what for what in checks if "boundary" not in what]


async def test_the_migration_fills_them(database: Database, database_url: URL) -> None:
    await migrate.downgrade(database, "0001_foundation")
    connection = await scratch.connect(database_url)
    await connection.execute(COINS)
    await connection.execute(CANDLES, 200, 13)
    await migrate.upgrade(database)
    await assert_exact(connection)
    assert await scratch.rows(connection, "candle_rollups_h1")
    await connection.close()
