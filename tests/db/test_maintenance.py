"""Maintenance: sizes, checks and removal of old rows."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import demo, maintenance, migrate
from db.engine import Database

NOW = datetime.now(UTC)

ENDED = """
INSERT INTO sessions (user_id, token_hash, expires_at, revoked_at)
SELECT 1, sha256(''), now() + CAST(expires AS interval), now() + CAST(revoked AS interval)
FROM (VALUES ('-31 days', NULL), ('10 days', '-31 days'), ('-29 days', NULL), ('10 days', '-29 days'), ('1 day', NULL))
    AS _ (expires, revoked)
"""
REPEATED = """
INSERT INTO idempotency_keys (actor, key, operation, input_hash, created_at)
VALUES (1, 'a', '', '', now() - interval '8 days'), (1, 'b', '', '', now() - interval '6 days')
"""


@pytest.fixture
async def stored(database: Database) -> Database:
    await demo.load(database, NOW)
    return database


async def test_stats_count_the_rows_of_every_table(stored: Database) -> None:
    rows = {table.table: table.rows for table in await maintenance.stats(stored)}
    assert rows["market_data"] == 5 * 24 * 90
    assert set(rows) >= {"cryptocurrencies", "predictions", "signals", "trades", "alerts", "users"}


async def test_demo_data_passes_all_checks(stored: Database) -> None:
    assert [check for check in await maintenance.verify(stored) if check.violations] == []


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ("UPDATE market_data SET timestamp = timestamp + interval '1 second' WHERE id = 5", "boundary"),
        ("UPDATE market_data SET timestamp = timestamp + interval '365 days' WHERE id = 5", "future"),
        (
            "UPDATE predictions SET error = error + 1 WHERE id = (SELECT min(id) FROM predictions WHERE error < 9)",
            "errors",
        ),
        ("UPDATE signals SET cryptocurrency_id = 1 + cryptocurrency_id % 5 WHERE signal_id = 5", "signals"),
        ("UPDATE trades SET cryptocurrency_id = 1 + cryptocurrency_id % 5 WHERE trade_id = 5", "trades"),
        (
            """INSERT INTO sessions (user_id, token_hash, expires_at) VALUES (1, sha256(''), now() + interval '1 day');
            UPDATE users SET is_active = false""",
            "disabled",
        ),
        ("UPDATE alembic_version SET version_num = 'older'", "migration"),
    ],
)
async def test_damage_is_found(stored: Database, damage: str, what: str) -> None:
    async with stored.transaction() as connection:
        for statement in damage.split(";"):
            await connection.execute(text(statement))
    wrong = [check for check in await maintenance.verify(stored) if check.violations]
    assert wrong
    assert what in wrong[0].condition


async def test_cleaning_counts_first_and_deletes_on_request(stored: Database) -> None:
    ages = {"candles": timedelta(days=30), "sentiment": timedelta(days=10)}
    counted = await maintenance.clean(stored, **ages, dry_run=True)
    assert counted.candles > 5 * 24 * 59
    assert await maintenance.clean(stored, **ages, dry_run=False) == counted
    assert await maintenance.clean(stored, **ages, dry_run=True) == maintenance.Cleaned(0, 0, 0, 0)
    settled = await stored.fetch_value(text("SELECT count(*) FROM predictions WHERE actual_price IS NOT NULL"))
    assert settled > 10_000


async def test_old_sessions_and_idempotency_keys_are_deleted(stored: Database) -> None:
    async with stored.transaction() as connection:
        await connection.execute(text(ENDED))
        await connection.execute(text(REPEATED))
    ages = {"candles": timedelta(days=365), "sentiment": timedelta(days=365)}
    cleaned = maintenance.Cleaned(0, 0, sessions=2, idempotency_keys=1)
    assert await maintenance.clean(stored, **ages, dry_run=True) == cleaned
    assert await maintenance.clean(stored, **ages, dry_run=False) == cleaned
    rows = {table.table: table.rows for table in await maintenance.stats(stored)}
    assert (rows["sessions"], rows["idempotency_keys"]) == (3, 1)


async def test_a_reset_leaves_empty_tables(stored: Database) -> None:
    await maintenance.reset(stored)
    assert await migrate.current(stored) == migrate.head()
    assert sum(table.rows for table in await maintenance.stats(stored)) == 0
