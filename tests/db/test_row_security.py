"""Row security: PostgreSQL shows and writes the rows of one viewer only, whatever the statement asks for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import URL, TextClause, text
from sqlalchemy.exc import DBAPIError

from db import maintenance, row_security
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.models import Base
from db.models.base import access_of
from db.queries import alerts, signals, strategies, trades
from db.queries.viewers import Viewer
from tests.application import counted
from tests.conftest import TEMPLATE, create_database
from tests.server.privacy import world
from tests.server.privacy.world import ANN, BEN
from tests.waiting import eventually

ALL_ROWS = Viewer(None, sees_all=True)
LISTINGS = {"alerts": alerts, "signals": signals, "trades": trades, "trading_strategies": strategies}
OWNER_COLUMNS = {table.name: access_of(table).owned_by for table in Base.metadata.sorted_tables}
OWNERS = "SELECT coalesce(json_agg({1} ORDER BY {1}), '[]') FROM {0}"
# Rows that the privacy world does not need: no query reads them.
REPEATED_WRITES = """
INSERT INTO idempotency_keys (actor, key, operation, input_hash) SELECT user_id, 'key', '', '' FROM users
"""
DENIED = "permission denied|row-level security|multiple commands"
VIEWERS = [str(ANN), str(BEN), row_security.NO_VIEWER, row_security.SEES_ALL]


def owners_in(table: str) -> TextClause:
    """A statement for the owners of all visible rows, as a JSON array."""
    return text(OWNERS.format(table, OWNER_COLUMNS[table]))


@pytest.fixture(scope="session")
def private_world(postgres: URL, template: URL) -> URL:
    """The world of the privacy tests, for tests that do not change it."""

    async def create() -> URL:
        url = await create_database(postgres, "row_security", template=TEMPLATE)
        owner = Database(url, pool_size=1)
        await world.create(owner)
        async with owner.transaction() as connection:
            await connection.execute(text(REPEATED_WRITES))
        await owner.close()
        return url

    return asyncio.run(create())


@pytest.fixture
async def stored(private_world: URL) -> AsyncIterator[Database]:
    """The world behind row security, with one connection for all viewers."""
    database = Database(private_world, pool_size=1, rls_enabled=True)
    yield database
    assert database.pool_in_use == 0
    await database.close()


@pytest.fixture
async def copied(postgres: URL, private_world: URL, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A copy of the world, for tests that change it."""
    url = await create_database(postgres, request.node.name, template="row_security")
    database = Database(url, pool_size=1, rls_enabled=True)
    yield database
    await database.close()


def is_shown(viewer: str, table: str, owner: Any) -> bool:
    if viewer == row_security.SEES_ALL:
        return True
    is_shared = access_of(Base.metadata.tables[table]).shared_without_owner
    return str(owner) == viewer or (is_shared and owner is None and viewer != row_security.NO_VIEWER)


@pytest.mark.parametrize("table", sorted(row_security.PRIVATE_TABLES))
async def test_a_viewer_is_shown_their_own_rows(stored: Database, table: str) -> None:
    """By a statement for all rows: with SQLAlchemy and prepared, for one viewer after the other and back."""
    owners = await stored.fetch_value(owners_in(table), viewer=row_security.SEES_ALL)
    assert {ANN, BEN} < set(owners), "the privacy world needs rows of several users in each private table"
    for viewer in [*VIEWERS, *reversed(VIEWERS)]:
        mine = [owner for owner in owners if is_shown(viewer, table, owner)]
        assert await stored.fetch_value(owners_in(table), viewer=viewer) == mine
        if table in LISTINGS:
            rows = await stored.fetch_rows(LISTINGS[table].listing(ALL_ROWS).rows, viewer=viewer)
            assert len(rows) == len(mine)
        count = f"SELECT to_json(count(*)) FROM {table}"
        (found,) = await stored.prepared.fetch_row(count, (), cache_statement=True, viewer=viewer)
        assert found == b"%d" % len(mine)


async def test_without_a_viewer_no_rows_are_shown(stored: Database) -> None:
    for table in sorted(row_security.PRIVATE_TABLES):
        assert await stored.fetch_value(text(f"SELECT count(*) FROM {table}")) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT password_hash FROM users",
        "SELECT * FROM users",
        "SELECT key_hash FROM api_keys",
        "SELECT session_id FROM sessions",
        "DELETE FROM trades",
        "UPDATE users SET is_admin = true",
        "SET ROLE NONE; SELECT password_hash FROM users",
    ],
)
async def test_secrets_are_not_shown(stored: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match=DENIED):
        await stored.fetch_rows(text(statement), viewer=row_security.SEES_ALL)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO alerts (user_id, alert_type, message, timestamp) VALUES (2, 'TRADE', '', now())",
        "INSERT INTO alerts (user_id, alert_type, message, timestamp) VALUES (NULL, 'TRADE', '', now())",
        "INSERT INTO trading_strategies (user_id, name) VALUES (2, 'mine')",
        "INSERT INTO signals (cryptocurrency_id, user_id, signal_type, timestamp) VALUES (1, 2, 'BUY', now())",
        # The triggers give these rows to another user.
        "INSERT INTO signals (cryptocurrency_id, user_id, strategy_id, signal_type, timestamp)"
        " VALUES (1, 1, 3, 'BUY', now())",
        "INSERT INTO trades (cryptocurrency_id, user_id, signal_id, trade_type, price, quantity, status, timestamp)"
        " VALUES (1, 1, 2, 'BUY', 1, 1, 'FAILED', now())",
        "UPDATE trades SET signal_id = 2",
        "UPDATE trading_strategies SET user_id = 2 WHERE strategy_id = 1",
        "UPDATE alerts SET user_id = NULL",
    ],
)
async def test_a_viewer_cannot_write_rows_of_others(stored: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match=DENIED):
        async with stored.transaction(viewer=str(ANN)) as connection:
            await connection.execute(text(statement))
    # The connection is as before.
    assert set(await stored.fetch_value(owners_in("trades"), viewer=str(BEN))) == {BEN}
    assert await stored.fetch_value(text("SELECT current_user")) == row_security.ROLE


async def test_an_update_changes_the_viewers_rows_only(copied: Database) -> None:
    for table, column in (("trades", "pnl = 5"), ("signals", "confidence = 0"), ("trading_strategies", "name = name")):
        async with copied.transaction(viewer=str(ANN)) as connection:
            changed = await connection.execute(text(f"UPDATE {table} SET {column} RETURNING user_id"))
            assert set(changed.scalars()) == {ANN}


async def test_a_row_gets_the_owner_of_the_row_that_it_follows(copied: Database) -> None:
    async def written(statement: str) -> Any:
        async with copied.transaction() as connection:
            found = await connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None

    signal = "INSERT INTO signals (cryptocurrency_id, user_id, strategy_id, signal_type, timestamp)"
    trade = "INSERT INTO trades (cryptocurrency_id, user_id, signal_id, trade_type, price, quantity, status, timestamp)"
    rest = "'BUY', 1, 1, 'FAILED', now()) RETURNING user_id"
    for given in ("NULL", "2"):
        assert await written(f"{signal} VALUES (1, {given}, 1, 'BUY', now()) RETURNING user_id") == ANN
        assert await written(f"{trade} VALUES (1, {given}, 1, {rest}") == ANN
    # The fourth signal has no owner: a trade that follows it keeps its own.
    assert await written(f"{trade} VALUES (1, 2, 4, {rest}") == BEN
    assert await written("UPDATE signals SET user_id = 2 WHERE signal_id = 1 RETURNING user_id") == ANN
    # Signals of a deleted strategy keep their owner.
    await written("DELETE FROM trading_strategies WHERE strategy_id = 2")
    assert await written("SELECT user_id FROM signals WHERE signal_id = 1 AND strategy_id IS NULL") == ANN


async def test_another_viewer_costs_one_round_trip(stored: Database) -> None:
    """The same viewer again costs none."""
    query = "SELECT to_json(count(*)) FROM trades"
    await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=str(ANN))
    async with stored.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
    sent: list[str] = []
    driver.add_query_logger(lambda logged: sent.append(logged.query))
    for viewer, trips in ((str(ANN), 1), (str(BEN), 2), (str(BEN), 1), (row_security.NO_VIEWER, 2)):
        sent.clear()
        await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=viewer)
        # The driver calls its loggers in the next iteration of the event loop.
        await eventually(lambda expected=trips: len(sent) >= expected)
        assert len(sent) == trips, sent
    with counted(stored) as statements:
        async with stored.transaction(viewer=str(ANN)) as connection:
            await connection.execute(text("SELECT 1"))
    assert len([statement for statement in statements if "set_config" in statement]) == 1


async def test_a_transaction_restores_role_and_viewer(stored: Database) -> None:
    """After a commit, a database error and another exception, and for every viewer."""

    async def seen() -> tuple[Any, set[int]]:
        owners = await stored.fetch_value(owners_in("trades"), viewer=str(BEN))
        return await stored.fetch_value(text("SELECT current_user")), set(owners)

    before = await seen()
    assert before == (row_security.ROLE, {BEN})
    for viewer in (None, str(ANN), row_security.SEES_ALL):
        async with stored.transaction(viewer=viewer) as connection:
            await connection.execute(text("SELECT 1"))
        assert await seen() == before
        with pytest.raises(DBAPIError):
            async with stored.transaction(viewer=viewer) as connection:
                await connection.execute(text("SELECT 1 / 0"))
        assert await seen() == before
        with pytest.raises(KeyError):
            async with stored.transaction(viewer=viewer):
                raise KeyError
        assert await seen() == before


async def test_a_new_connection_has_row_security(stored: Database) -> None:
    query = "SELECT to_json(array_agg(DISTINCT user_id)) FROM trades"
    for _ in range(2):
        (owners,) = await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=str(BEN))
        assert owners == b"[%d]" % BEN
        with pytest.raises(DatabaseUnavailable):
            async with stored.transaction() as connection:
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert await stored.fetch_value(text("SELECT current_user")) == row_security.ROLE


async def test_a_cancellation_while_the_viewer_changes(stored: Database) -> None:
    """The viewer of the connection is unknown then, so it is set again."""
    query = owners_in("trades")
    assert set(await stored.fetch_value(query, viewer=str(ANN))) == {ANN}
    async with stored.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        noted = connection.info

        class Cancelled:
            async def fetchval(self, *args: Any) -> None:
                await driver.fetchval(*args)
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await row_security.set_viewer(str(BEN), noted, Cancelled())
    assert set(await stored.fetch_value(query, viewer=str(ANN))) == {ANN}


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (
            ["UPDATE trading_strategies SET user_id = 2, name = 'given away' WHERE user_id = 1 AND strategy_id = 2"],
            "their strategy",
        ),
        (["ALTER TABLE trades DISABLE TRIGGER candlegraph_own", "UPDATE trades SET user_id = NULL"], "their signal"),
    ],
)
async def test_a_wrong_owner_is_found(copied: Database, damage: list[str], what: str) -> None:
    assert [check.condition for check in await maintenance.verify(copied) if check.violations] == []
    async with copied.transaction() as connection:
        for statement in damage:
            await connection.execute(text(statement))
    (found,) = [check.condition for check in await maintenance.verify(copied) if check.violations]
    assert what in found
