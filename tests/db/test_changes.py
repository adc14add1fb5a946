"""What the database announces of its changes, whoever makes them and however."""

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
OF_COINS = ["market_data", "predictions", "signals", "trades", "sentiment_data"]
OF_NO_COIN = ["models", "trading_strategies", "alerts", "users", "api_keys", "sessions"]
ALL = (None, None)


class Writer:
    """A connection that writes, and one that hears what is announced."""

    def __init__(self, connection: Connection, ear: Connection) -> None:
        self.connection = connection
        self._ear = ear
        self._announced: list[dict[str, Any]] = []

    async def listen(self) -> None:
        await self._ear.add_listener(CHANNEL, lambda *said: self._announced.append(json.loads(said[-1])))

    async def write(self, statement: str, *values: Any) -> list[tuple[str | None, list[str] | None]]:
        """The tables and coins that this announces."""
        await self.connection.execute(statement, *values)
        return await self.announced()

    async def announced(self) -> list[tuple[str | None, list[str] | None]]:
        await self._ear.execute("SELECT 1")
        announced = [(change["table"], change["coins"]) for change in self._announced]
        self._announced.clear()
        return announced


@pytest.fixture(scope="module")
def url(postgres: URL, template: URL) -> URL:
    """One database for all tests here."""
    return asyncio.run(create_database(postgres, "changes", template=TEMPLATE))


@pytest.fixture
async def other(url: URL) -> AsyncIterator[Connection]:
    connection = await scratch.connect(url)
    yield connection
    await connection.close()


@pytest.fixture
async def writer(url: URL) -> AsyncIterator[Writer]:
    """A writer, with coins of which all tables have rows, but of the third."""
    writer = Writer(await scratch.connect(url), await scratch.connect(url))
    await writer.connection.execute(ROWS)
    await writer.listen()
    yield writer
    await writer.connection.close()
    await writer._ear.close()


@pytest.mark.parametrize("table", OF_COINS)
async def test_rows_of_coins(writer: Writer, table: str) -> None:
    assert await writer.write(f"DELETE FROM {table} WHERE cryptocurrency_id = 1") == [(table, ["BTC"])]
    moved = f"UPDATE {table} SET cryptocurrency_id = 3 WHERE cryptocurrency_id = 2"
    assert await writer.write(moved) == [(table, ["ADA", "ETH"])]
    assert await writer.write(moved) == []
    assert await writer.write(f"INSERT INTO {table} {INSERTS[table]}") == [(table, ["BTC"])]
    assert await writer.write(f"UPDATE {table} SET created_at = now()") == [(table, ["ADA", "BTC"])]
    assert await writer.write(f"DELETE FROM {table}") == [(table, ["ADA", "BTC"])]
    assert await writer.write(f"DELETE FROM {table}") == []
    assert await writer.write(f"INSERT INTO {table} SELECT * FROM {table}") == []


@pytest.mark.parametrize("table", OF_NO_COIN)
async def test_rows_of_no_coin(writer: Writer, table: str) -> None:
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
    assert len(others) == 9
    for column in others:
        assert await writer.write(f"UPDATE api_keys SET {column} = {column}") == [("api_keys", [])]


async def test_keys_of_idempotency_are_not_announced(writer: Writer) -> None:
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


@pytest.mark.parametrize("table", [*OF_COINS, *OF_NO_COIN, "cryptocurrencies"])
async def test_a_truncation(writer: Writer, table: str) -> None:
    announced = await writer.write(f"TRUNCATE {table} CASCADE")
    assert (table, None) in announced
    assert all(coins is None for _, coins in announced)
    assert len(announced) == {"cryptocurrencies": 6, "users": 7, "models": 4}.get(table, len(announced))


async def test_a_coin_that_goes_with_its_rows(writer: Writer) -> None:
    await writer.write("DELETE FROM predictions; DELETE FROM signals; DELETE FROM trades")
    announced = await writer.write("DELETE FROM cryptocurrencies WHERE id < 3")
    assert sorted(announced) == [("cryptocurrencies", ["BTC", "ETH"]), ("market_data", []), ("sentiment_data", [])]


async def test_a_reference_that_is_set_to_null(writer: Writer) -> None:
    announced = await writer.write("DELETE FROM trading_strategies")
    assert sorted(announced) == [("signals", ["BTC", "ETH"]), ("trading_strategies", [])]


async def test_rows_that_are_copied(writer: Writer) -> None:
    columns = ["cryptocurrency_id", "source", "sentiment_score", "timestamp"]
    now = await writer.connection.fetchval("SELECT now()")
    copied = [(coin, "copy", 0.5, now) for coin in (3, 1, 1)]
    await writer.connection.copy_records_to_table("sentiment_data", records=copied, columns=columns)
    assert await writer.announced() == [("sentiment_data", ["ADA", "BTC"])]


async def test_what_has_no_effect_is_not_announced(writer: Writer) -> None:
    candle = CANDLE.format(coin=1, minute="00")
    again = f"{candle} ON CONFLICT (cryptocurrency_id, timestamp) DO"
    changed = f"{again} UPDATE SET volume = 2 WHERE market_data.volume <> 2"
    assert await writer.write(f"{again} NOTHING") == []
    assert await writer.write(changed) == [("market_data", ["BTC"])]
    assert await writer.write(changed) == []
    with pytest.raises(asyncpg.UniqueViolationError):
        await writer.write(candle)
    assert await writer.announced() == []


async def test_what_is_rolled_back_is_not_announced(writer: Writer) -> None:
    first, second = CANDLE.format(coin=1, minute="01"), CANDLE.format(coin=2, minute="01")
    assert await writer.write(f"BEGIN; {first}; ROLLBACK") == []
    announced = await writer.write(f"BEGIN; SAVEPOINT s; {first}; ROLLBACK TO SAVEPOINT s; {second}; COMMIT")
    assert announced == [("market_data", ["ETH"])]


async def test_a_transaction_announces_each_thing_once(writer: Writer) -> None:
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
async def test_more_coins_than_can_be_told(writer: Writer, coins: int, symbol: str, is_any: bool) -> None:
    made = f"{COINS} SELECT $2 || n, '', 'M1' FROM generate_series(1, $1::int) n"
    named = None if is_any else sorted(f"{symbol}{number}" for number in range(1, coins + 1))
    assert await writer.write(made, coins, symbol) == [("cryptocurrencies", named)]
    assert await writer.write(SENTIMENT_OF_MORE) == [("sentiment_data", named)]
    assert await writer.write("UPDATE sentiment_data SET source = 'x' WHERE source = ''") == [("sentiment_data", named)]


OF_FIRST = {
    "insert": CANDLE.format(coin=1, minute="01"),
    "update": "UPDATE market_data SET volume = 5 WHERE cryptocurrency_id = 1",
    "delete": "DELETE FROM sentiment_data WHERE cryptocurrency_id = 1",
}
RENAME = "UPDATE cryptocurrencies SET symbol = 'XBT' WHERE id = 1"


@pytest.mark.parametrize("written", OF_FIRST.values(), ids=list(OF_FIRST))
async def test_a_rename_waits_for_whoever_writes_rows(writer: Writer, other: Connection, written: str) -> None:
    async with writer.connection.transaction():
        await writer.connection.execute(written)
        renaming = asyncio.create_task(other.execute(RENAME))
        await asyncio.sleep(0.2)
        assert not renaming.done()
    await renaming
    assert [coins for _, coins in await writer.announced()] == [["BTC"], ["BTC", "XBT"]]


@pytest.mark.parametrize("written", [OF_FIRST["update"], OF_FIRST["delete"]], ids=["update", "delete"])
@pytest.mark.parametrize("change", [RENAME, "DELETE FROM trades; DELETE FROM cryptocurrencies WHERE id = 3"])
async def test_rows_written_while_their_coin_is_renamed(
    writer: Writer, other: Connection, written: str, change: str
) -> None:
    """The writer does not wait, but the new name is among those that it announces."""
    await other.execute(f"BEGIN; {change}")
    announced = await asyncio.wait_for(writer.write(written), 1)
    table = "market_data" if "market_data" in written else "sentiment_data"
    assert announced == [(table, None if change == RENAME else ["BTC"])]
    await other.execute("COMMIT")


async def test_a_rename_that_commits_while_the_statement_waits(writer: Writer, other: Connection) -> None:
    """Its snapshot shows the old name still."""
    await other.execute("BEGIN; SELECT FROM market_data WHERE cryptocurrency_id = 1 FOR UPDATE")
    writing = asyncio.create_task(writer.write(OF_FIRST["update"]))
    await asyncio.sleep(0.2)
    await other.execute(f"{RENAME}; COMMIT")
    assert await writing == [("cryptocurrencies", ["BTC", "XBT"]), ("market_data", ["XBT"])]


async def test_rows_written_while_their_coin_is_deleted_are_no_deadlock(writer: Writer, other: Connection) -> None:
    await writer.connection.execute("DELETE FROM predictions; DELETE FROM signals; DELETE FROM trades")
    async with writer.connection.transaction():
        await writer.connection.execute("SELECT FROM market_data WHERE cryptocurrency_id = 1 FOR UPDATE")
        deleting = asyncio.create_task(other.execute("DELETE FROM cryptocurrencies WHERE id = 1"))
        await asyncio.sleep(0.2)
        await writer.connection.execute("DELETE FROM market_data WHERE cryptocurrency_id = 1")
    await deleting
    assert ("market_data", None) in await writer.announced()


async def test_a_writer_who_may_read_no_coins(writer: Writer) -> None:
    """Another role, with a search path of its own."""
    announced = await writer.write("""
        CREATE ROLE scribe; GRANT SELECT, INSERT, DELETE ON sentiment_data TO scribe;
        SET search_path = ''; SET ROLE scribe; DELETE FROM public.sentiment_data WHERE cryptocurrency_id = 2;
        RESET ROLE; RESET search_path; DROP OWNED BY scribe; DROP ROLE scribe;
    """)
    assert announced == [("sentiment_data", ["ETH"])]


async def test_what_rows_do_not_tell_may_be_anything(writer: Writer, url: URL) -> None:
    database = Database(url, pool_size=1)
    await migrate.upgrade(database)
    assert await writer.announced() == []
    assert await rollups.rebuild(database) == 3
    assert await writer.announced() == [ALL]
    await migrate.downgrade(database, "0002_rollups")
    assert await writer.announced() == [ALL]
    assert await writer.write(OF_FIRST["update"]) == []
    await migrate.upgrade(database)
    assert await writer.announced() == [ALL]
    assert await writer.write(OF_FIRST["update"]) == [("market_data", ["BTC"])]
    await maintenance.reset(database)
    assert await writer.announced() == [ALL, ALL]
    await database.close()


async def test_triggers_that_are_off_are_found(writer: Writer, url: URL) -> None:
    database = Database(url, pool_size=1)
    await writer.connection.execute("ALTER TABLE alerts DISABLE TRIGGER candlegraph_announce_deletes")
    wrong = [check for check in await maintenance.verify(database) if check.violations]
    await writer.connection.execute("ALTER TABLE alerts ENABLE TRIGGER USER")
    assert [(check.what, check.violations) for check in wrong] == [
        ("the triggers that announce changes are there, and enabled", 1)
    ]
    await database.close()
