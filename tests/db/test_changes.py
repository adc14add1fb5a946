"""Triggers announce each change of a table, whatever client and statement makes it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import URL

from db import maintenance, migrate, rollups
from db.changes import CHANNEL
from db.engine import Database
from db.models import Announced, Base
from db.models.base import access_of
from tests.conftest import TEMPLATE, create_database
from tests.db import scratch
from tests.db.scratch import Connection

CANDLE = "INSERT INTO market_data VALUES (DEFAULT, {coin}, '2025-01-08 12:{minute}+00', 1, 1, 1, 1, 1, 1, 'x')"
ROWS = """
TRUNCATE users, models, cryptocurrencies RESTART IDENTITY CASCADE;
INSERT INTO cryptocurrencies (symbol, name, base_interval)
VALUES ('BTC', '', 'M1'), ('ETH', '', 'M1'), ('ADA', '', 'M1');
INSERT INTO models (name, version) VALUES ('m', '1');
INSERT INTO users (username, password_hash) VALUES ('u', '');
INSERT INTO trading_strategies (user_id, name) VALUES (1, 's');
INSERT INTO alerts (user_id, alert_type, message, timestamp) VALUES (1, 'TRADE', '', now());
INSERT INTO api_keys (user_id, name, prefix, key_hash, scopes) VALUES (1, 'k', 'p', sha256('k'), '{READ}');
INSERT INTO sessions (user_id, token_hash, expires_at) VALUES (1, sha256('t'), now());
INSERT INTO market_data SELECT -id, id, '2025-01-08 12:00+00', 1, 1, 1, 1, 1, 1, 'x' FROM cryptocurrencies WHERE id < 3;
INSERT INTO predictions (cryptocurrency_id, model_id, prediction_timestamp, target_timestamp, predicted_price)
    SELECT id, 1, '2025-01-08', '2025-01-09', 1 FROM cryptocurrencies WHERE id < 3;
INSERT INTO signals (cryptocurrency_id, signal_type, timestamp, strategy_id)
    SELECT id, 'BUY', now(), 1 FROM cryptocurrencies WHERE id < 3;
INSERT INTO trades (cryptocurrency_id, trade_type, price, quantity, status, timestamp)
    SELECT id, 'BUY', 1, 1, 'FAILED', now() FROM cryptocurrencies WHERE id < 3;
INSERT INTO sentiment_data (cryptocurrency_id, source, sentiment_score, timestamp)
    SELECT id, 'x', 0, now() FROM cryptocurrencies WHERE id < 3;
"""
COINS = "INSERT INTO cryptocurrencies (symbol, name, base_interval)"
SENTIMENT_OF_MORE = """
INSERT INTO sentiment_data (cryptocurrency_id, source, sentiment_score, timestamp)
SELECT id, '', 0, now() FROM cryptocurrencies WHERE id > 3
"""
INSERTS = {
    "market_data": "SELECT -id, 1, timestamp + interval '1 minute', 1, 1, 1, 1, 1, 1, 'x' FROM market_data",
    "predictions": "SELECT -1, 1, 1, '2025-01-08', '2025-01-09', 1",
    "signals": "SELECT -1, 1, NULL, NULL, NULL, 'BUY', NULL, now()",
    "trades": "SELECT -1, 1, NULL, 'BUY', 1, 1, 'FAILED', true, NULL, now()",
    "sentiment_data": "SELECT -1, 1, 'x', NULL, 0, now()",
    "models": "(name, version) VALUES ('m', '2')",
    "trading_strategies": "(user_id, name) VALUES (1, 't')",
    "alerts": "(alert_type, message, timestamp) VALUES ('TRADE', '', now())",
    "users": "(username, password_hash) VALUES ('v', '')",
    "api_keys": "(user_id, name, prefix, key_hash, scopes) VALUES (1, 'l', 'q', sha256('l'), '{READ}')",
    "sessions": "(user_id, token_hash, expires_at) VALUES (1, sha256('u'), now())",
}
ANNOUNCED = {table.name: access_of(table).announced for table in Base.metadata.sorted_tables}
# Other tables have triggers with the same functions: tests/db/test_declarations.py holds them to their declarations.
BY_COIN = [name for name in INSERTS if ANNOUNCED[name] is Announced.BY_COIN]
BY_TABLE = [name for name in INSERTS if ANNOUNCED[name] is Announced.BY_TABLE]
ALL = (None, None)


class Writer:
    """A connection that writes, and one that listens for notifications."""

    def __init__(self, connection: Connection, listener: Connection) -> None:
        self.connection = connection
        self._listener = listener
        self._announced: list[dict[str, Any]] = []

    async def listen(self) -> None:
        await self._listener.add_listener(CHANNEL, lambda *args: self._announced.append(json.loads(args[-1])))

    async def write(self, statement: str, *values: Any) -> list[tuple[str | None, list[str] | None]]:
        """Execute a statement; return the tables and coins that are announced."""
        await self.connection.execute(statement, *values)
        return await self.announced()

    async def announced(self) -> list[tuple[str | None, list[str] | None]]:
        # Notifications arrive before the result of the next statement.
        await self._listener.execute("SELECT 1")
        announced = [(change["table"], change["coins"]) for change in self._announced]
        self._announced.clear()
        return announced


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    """One database for all tests of this module."""
    return asyncio.run(create_database(postgres, "changes", template=TEMPLATE))


@pytest.fixture
async def other(url: URL) -> AsyncIterator[Connection]:
    connection = await scratch.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def writer(url: URL) -> AsyncIterator[Writer]:
    """A writer. Every table has rows of the first two coins of three."""
    writer = Writer(await scratch.connect(url), await scratch.connect(url))
    await writer.connection.execute(ROWS)
    await writer.listen()
    yield writer
    await writer.connection.close()
    await writer._listener.close()


@pytest.mark.parametrize("table", BY_COIN)
async def test_tables_announced_by_coin(writer: Writer, table: str) -> None:
    assert await writer.write(f"DELETE FROM {table} WHERE cryptocurrency_id = 1") == [(table, ["BTC"])]
    moved = f"UPDATE {table} SET cryptocurrency_id = 3 WHERE cryptocurrency_id = 2"
    assert await writer.write(moved) == [(table, ["ADA", "ETH"])]
    assert await writer.write(moved) == []
    assert await writer.write(f"INSERT INTO {table} {INSERTS[table]}") == [(table, ["BTC"])]
    assert await writer.write(f"UPDATE {table} SET created_at = now()") == [(table, ["ADA", "BTC"])]
    assert await writer.write(f"DELETE FROM {table}") == [(table, ["ADA", "BTC"])]
    assert await writer.write(f"DELETE FROM {table}") == []
    assert await writer.write(f"INSERT INTO {table} SELECT * FROM {table}") == []


@pytest.mark.parametrize("table", BY_TABLE)
async def test_tables_announced_by_table(writer: Writer, table: str) -> None:
    assert await writer.write(f"INSERT INTO {table} {INSERTS[table]}") == [(table, [])]
    assert await writer.write(f"UPDATE {table} SET created_at = now()") == [(table, [])]
    assert await writer.write(f"UPDATE {table} SET created_at = now() WHERE false") == []
    if table in ("models", "users"):
        await writer.write("DELETE FROM predictions; DELETE FROM trading_strategies")
    assert (table, []) in await writer.write(f"DELETE FROM {table}")
    assert await writer.write(f"DELETE FROM {table}") == []
    assert await writer.write(f"INSERT INTO {table} SELECT * FROM {table}") == []


async def test_the_last_use_of_a_key_is_not_announced(writer: Writer) -> None:
    assert await writer.write("UPDATE api_keys SET last_used_at = now()") == []
    assert await writer.write("UPDATE api_keys SET last_used_at = now(), revoked_at = now()") == [("api_keys", [])]
    columns = await writer.connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'api_keys'::regclass AND attnum > 0"
    )
    others = [column for (column,) in columns if column != "last_used_at"]
    assert len(others) == len(columns) - 1
    for column in others:
        assert await writer.write(f"UPDATE api_keys SET {column} = {column}") == [("api_keys", [])]


async def test_idempotency_keys_are_not_announced(writer: Writer) -> None:
    made = "INSERT INTO idempotency_keys (actor, key, operation, input_hash) VALUES (0, 'k', 'o', '')"
    assert (
        await writer.write(f"{made}; UPDATE idempotency_keys SET answer = '{{}}'; DELETE FROM idempotency_keys") == []
    )


async def test_coins(writer: Writer) -> None:
    assert await writer.write(f"{COINS} VALUES ('SOL', '', 'M1'), ('DOT', '', 'M1')") == [
        ("cryptocurrencies", ["DOT", "SOL"])
    ]
    assert await writer.write("UPDATE cryptocurrencies SET name = 'x' WHERE id = 1") == [("cryptocurrencies", ["BTC"])]
    renamed = "UPDATE cryptocurrencies SET symbol = 'XBT' WHERE symbol = 'BTC'"
    assert await writer.write(renamed) == [("cryptocurrencies", ["BTC", "XBT"])]
    assert await writer.write(renamed) == []
    rebased = "UPDATE cryptocurrencies SET base_interval = 'H1' WHERE id = 2"
    assert await writer.write(rebased) == [("cryptocurrencies", ["ETH"])]
    assert await writer.write("DELETE FROM cryptocurrencies WHERE id > 2") == [
        ("cryptocurrencies", ["ADA", "DOT", "SOL"])
    ]
    assert await writer.write("DELETE FROM cryptocurrencies WHERE id > 2") == []


async def test_symbols_are_sorted_by_their_characters(writer: Writer) -> None:
    symbols = ["ÄÖ", "A-B", "AA", "A_", "Z", "1INCH", "AÉ", 'A"B']
    expected = sorted(symbols)
    made = await writer.write(f"{COINS} SELECT unnest($1::text[]), '', 'M1'", symbols)
    assert made == [("cryptocurrencies", expected)]
    assert await writer.write(SENTIMENT_OF_MORE) == [("sentiment_data", expected)]
    assert await writer.write("DELETE FROM cryptocurrencies WHERE id > 3") == [
        ("cryptocurrencies", expected),
        ("sentiment_data", []),
    ]


@pytest.mark.parametrize("table", [*BY_COIN, *BY_TABLE, "cryptocurrencies"])
async def test_a_truncation(writer: Writer, table: str) -> None:
    announced = await writer.write(f"TRUNCATE {table} CASCADE")
    expected = [name for name in referring_to(table) if ANNOUNCED[name] is not Announced.NEVER]
    assert sorted(announced, key=str) == sorted(((name, None) for name in expected), key=str)


def referring_to(table: str) -> set[str]:
    """The table, and those that refer to it directly or through others."""
    found = {table}
    for other in Base.metadata.sorted_tables:
        if any(key.column.table.name in found for key in other.foreign_keys):
            found.add(other.name)
    return found


async def test_a_coin_that_is_deleted_with_its_rows(writer: Writer) -> None:
    await writer.write("DELETE FROM predictions; DELETE FROM signals; DELETE FROM trades")
    announced = await writer.write("DELETE FROM cryptocurrencies WHERE id < 3")
    assert sorted(announced) == [("cryptocurrencies", ["BTC", "ETH"]), ("market_data", []), ("sentiment_data", [])]


async def test_a_reference_that_is_set_to_null(writer: Writer) -> None:
    announced = await writer.write("DELETE FROM trading_strategies")
    assert sorted(announced) == [("signals", ["BTC", "ETH"]), ("trading_strategies", [])]


async def test_copied_rows(writer: Writer) -> None:
    columns = ["cryptocurrency_id", "source", "sentiment_score", "timestamp"]
    now = await writer.connection.fetchval("SELECT now()")
    copied = [(coin, "copy", 0.5, now) for coin in (3, 1, 1)]
    await writer.connection.copy_records_to_table("sentiment_data", records=copied, columns=columns)
    assert await writer.announced() == [("sentiment_data", ["ADA", "BTC"])]


async def test_a_statement_without_effect_is_not_announced(writer: Writer) -> None:
    candle = CANDLE.format(coin=1, minute="00")
    again = f"{candle} ON CONFLICT (cryptocurrency_id, timestamp) DO"
    changed = f"{again} UPDATE SET volume = 2 WHERE market_data.volume <> 2"
    assert await writer.write(f"{again} NOTHING") == []
    assert await writer.write(changed) == [("market_data", ["BTC"])]
    assert await writer.write(changed) == []
    with pytest.raises(asyncpg.UniqueViolationError):
        await writer.write(candle)
    assert await writer.announced() == []


async def test_a_rollback_is_not_announced(writer: Writer) -> None:
    first, second = CANDLE.format(coin=1, minute="01"), CANDLE.format(coin=2, minute="01")
    assert await writer.write(f"BEGIN; {first}; ROLLBACK") == []
    announced = await writer.write(f"BEGIN; SAVEPOINT s; {first}; ROLLBACK TO SAVEPOINT s; {second}; COMMIT")
    assert announced == [("market_data", ["ETH"])]


async def test_a_transaction_announces_each_change_once(writer: Writer) -> None:
    candles = [CANDLE.format(coin=1 + minute % 2, minute=minute) for minute in range(10, 40)]
    async with writer.connection.transaction():
        assert await writer.write("; ".join(candles)) == []
        assert await writer.write("UPDATE market_data SET volume = 3 WHERE cryptocurrency_id = 1") == []
    assert await writer.announced() == [("market_data", ["BTC"]), ("market_data", ["ETH"])]


@pytest.mark.parametrize(
    ("coins", "symbol", "is_any"),
    [(100, "C", False), (101, "C", True), (90, "🪙" * 15, False), (100, "\x01" * 17, True)],
    ids=["100", "101", "90 of long names", "100 of longer names"],
)
async def test_more_coins_than_a_payload_holds(writer: Writer, coins: int, symbol: str, is_any: bool) -> None:
    made = f"{COINS} SELECT $2 || n, '', 'M1' FROM generate_series(1, $1::int) n"
    named = None if is_any else sorted(f"{symbol}{number}" for number in range(1, coins + 1))
    assert await writer.write(made, coins, symbol) == [("cryptocurrencies", named)]
    assert await writer.write(SENTIMENT_OF_MORE) == [("sentiment_data", named)]
    assert await writer.write("UPDATE sentiment_data SET source = 'x' WHERE source = ''") == [("sentiment_data", named)]


WRITES = {
    "insert": CANDLE.format(coin=1, minute="01"),
    "update": "UPDATE market_data SET volume = 5 WHERE cryptocurrency_id = 1",
    "delete": "DELETE FROM sentiment_data WHERE cryptocurrency_id = 1",
}
RENAME = "UPDATE cryptocurrencies SET symbol = 'XBT' WHERE id = 1"


@pytest.mark.parametrize("statement", WRITES.values(), ids=list(WRITES))
async def test_a_rename_waits_for_writers_of_rows(writer: Writer, other: Connection, statement: str) -> None:
    async with writer.connection.transaction():
        await writer.connection.execute(statement)
        renaming = asyncio.create_task(other.execute(RENAME))
        await scratch.until_blocked(other, writer.connection)
        assert not renaming.done()
    await renaming
    assert [coins for _, coins in await writer.announced()] == [["BTC"], ["BTC", "XBT"]]


@pytest.mark.parametrize("statement", [WRITES["update"], WRITES["delete"]], ids=["update", "delete"])
@pytest.mark.parametrize("change", [RENAME, "DELETE FROM trades; DELETE FROM cryptocurrencies WHERE id = 3"])
async def test_rows_written_while_their_coin_is_renamed(
    writer: Writer, other: Connection, statement: str, change: str
) -> None:
    """The writer does not wait, but the new name is among those that it announces."""
    await other.execute(f"BEGIN; {change}")
    announced = await asyncio.wait_for(writer.write(statement), 1)
    table = "market_data" if "market_data" in statement else "sentiment_data"
    assert announced == [(table, None if change == RENAME else ["BTC"])]
    await other.execute("COMMIT")


async def test_a_rename_that_commits_while_the_statement_waits(writer: Writer, other: Connection) -> None:
    """The snapshot of the statement still contains the old name."""
    await other.execute("BEGIN; SELECT FROM market_data WHERE cryptocurrency_id = 1 FOR UPDATE")
    writing = asyncio.create_task(writer.write(WRITES["update"]))
    await scratch.until_blocked(writer.connection, other)
    await other.execute(f"{RENAME}; COMMIT")
    assert await writing == [("cryptocurrencies", ["BTC", "XBT"]), ("market_data", ["XBT"])]


async def test_writing_rows_while_their_coin_is_deleted_is_no_deadlock(writer: Writer, other: Connection) -> None:
    await writer.connection.execute("DELETE FROM predictions; DELETE FROM signals; DELETE FROM trades")
    async with writer.connection.transaction():
        await writer.connection.execute("SELECT FROM market_data WHERE cryptocurrency_id = 1 FOR UPDATE")
        deleting = asyncio.create_task(other.execute("DELETE FROM cryptocurrencies WHERE id = 1"))
        await scratch.until_blocked(other, writer.connection)
        await writer.connection.execute("DELETE FROM market_data WHERE cryptocurrency_id = 1")
    await deleting
    assert ("market_data", None) in await writer.announced()


async def test_a_role_that_may_not_read_coins(writer: Writer) -> None:
    """Another role, with another search path."""
    announced = await writer.write("""
        CREATE ROLE scribe; GRANT SELECT, INSERT, DELETE ON sentiment_data TO scribe;
        SET search_path = ''; SET ROLE scribe; DELETE FROM public.sentiment_data WHERE cryptocurrency_id = 2;
        RESET ROLE; RESET search_path; DROP OWNED BY scribe; DROP ROLE scribe;
    """)
    assert announced == [("sentiment_data", ["ETH"])]


async def test_migrations_and_rebuilds_announce_a_change_of_everything(writer: Writer, url: URL) -> None:
    database = Database(url, pool_size=1)
    await migrate.upgrade(database)
    assert await writer.announced() == []
    assert await rollups.rebuild(database) == 3
    assert await writer.announced() == [ALL]
    await migrate.downgrade(database, "0002_rollups")
    assert await writer.announced() == [ALL]
    assert await writer.write(WRITES["update"]) == []
    await migrate.upgrade(database)
    assert await writer.announced() == [ALL]
    assert await writer.write(WRITES["update"]) == [("market_data", ["BTC"])]
    await maintenance.reset(database)
    assert await writer.announced() == [ALL, ALL]
    await database.close()


async def test_a_disabled_trigger_is_found(writer: Writer, url: URL) -> None:
    database = Database(url, pool_size=1)
    await writer.connection.execute("ALTER TABLE alerts DISABLE TRIGGER candlegraph_announce_deletes")
    wrong = [check for check in await maintenance.verify(database) if check.violations]
    await writer.connection.execute("ALTER TABLE alerts ENABLE TRIGGER USER")
    assert [(check.condition, check.violations) for check in wrong] == [
        ("changes of every table are announced as it declares, by enabled triggers", 1)
    ]
    await database.close()
