"""The second wall: what PostgreSQL itself shows and lets be written, whatever the statement asks for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from db import maintenance, row_security
from db.engine import Database
from db.errors import DatabaseUnavailable
from db.queries import alerts, signals, strategies, trades
from db.queries.viewers import Viewer
from tests.application import counted
from tests.conftest import TEMPLATE, create_database
from tests.server.privacy import world
from tests.server.privacy.world import ANN, BEN

EVERYBODY = Viewer(None, sees_all=True)
LISTINGS = {"alerts": alerts, "signals": signals, "trades": trades, "trading_strategies": strategies}
OWNERS = "SELECT coalesce(json_agg(user_id ORDER BY user_id), '[]') FROM {}"
DENIED = "permission denied|row-level security|multiple commands"
VIEWERS = [str(ANN), str(BEN), row_security.NO_VIEWER, row_security.SEES_ALL]


@pytest.fixture(scope="session")
def walled(postgres: URL, template: URL) -> URL:
    """The small world, for tests that leave it as it is."""

    async def create() -> URL:
        url = await create_database(postgres, "walled", template=TEMPLATE)
        owner = Database(url, pool_size=1)
        await world.create(owner)
        await owner.close()
        return url

    return asyncio.run(create())


@pytest.fixture
async def stored(walled: URL) -> AsyncIterator[Database]:
    """The world, seen through the walls by one connection, which shows its rows to one after the other."""
    database = Database(walled, pool_size=1, rls_enabled=True)
    yield database
    assert database.pool_in_use == 0
    await database.close()


@pytest.fixture
async def changing(postgres: URL, walled: URL, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A copy of it."""
    url = await create_database(postgres, request.node.name, template="walled")
    database = Database(url, pool_size=1, rls_enabled=True)
    yield database
    await database.close()


def shown_to(viewer: str, table: str, user_id: Any) -> bool:
    if viewer == row_security.SEES_ALL:
        return True
    return str(user_id) == viewer or (table == "alerts" and user_id is None and viewer != row_security.NO_VIEWER)


@pytest.mark.parametrize("table", sorted(row_security.PRIVATE_TABLES))
async def test_each_is_shown_their_own(stored: Database, table: str) -> None:
    """Of a statement that asks for everything: by SQLAlchemy and prepared, one viewer after the other and back."""
    everything = await stored.fetch_value(text(OWNERS.format(table)), viewer=row_security.SEES_ALL)
    assert {ANN, BEN} < set(everything)
    for viewer in [*VIEWERS, *reversed(VIEWERS)]:
        mine = [owner for owner in everything if shown_to(viewer, table, owner)]
        assert await stored.fetch_value(text(OWNERS.format(table)), viewer=viewer) == mine
        rows = await stored.fetch_rows(LISTINGS[table].listing(EVERYBODY).rows, viewer=viewer)
        assert len(rows) == len(mine)
        count = f"SELECT to_json(count(*)) FROM {table}"
        (found,) = await stored.prepared.fetch_row(count, (), cache_statement=True, viewer=viewer)
        assert found == b"%d" % len(mine)


async def test_nobody_is_shown_anything_unasked(stored: Database) -> None:
    for table in sorted(row_security.RLS_TABLES):
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
        # The triggers make these somebody else's.
        "INSERT INTO signals (cryptocurrency_id, user_id, strategy_id, signal_type, timestamp)"
        " VALUES (1, 1, 3, 'BUY', now())",
        "INSERT INTO trades (cryptocurrency_id, user_id, signal_id, trade_type, price, quantity, status, timestamp)"
        " VALUES (1, 1, 2, 'BUY', 1, 1, 'FAILED', now())",
        "UPDATE trades SET signal_id = 2",
        "UPDATE trading_strategies SET user_id = 2 WHERE strategy_id = 1",
        "UPDATE alerts SET user_id = NULL",
    ],
)
async def test_nobody_writes_for_somebody_else(stored: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match=DENIED):
        async with stored.transaction(viewer=str(ANN)) as connection:
            await connection.execute(text(statement))
    # And the connection is as it was.
    assert set(await stored.fetch_value(text(OWNERS.format("trades")), viewer=str(BEN))) == {BEN}
    assert await stored.fetch_value(text("SELECT current_user")) == row_security.ROLE


async def test_a_change_reaches_ones_own_rows(changing: Database) -> None:
    for table, column in (("trades", "pnl = 5"), ("signals", "confidence = 0"), ("trading_strategies", "name = name")):
        async with changing.transaction(viewer=str(ANN)) as connection:
            changed = await connection.execute(text(f"UPDATE {table} SET {column} RETURNING user_id"))
            assert set(changed.scalars()) == {ANN}


async def test_what_follows_belongs_to_the_same_user(changing: Database) -> None:
    async def written(statement: str) -> Any:
        async with changing.transaction() as connection:
            found = await connection.execute(text(statement))
            return found.scalar() if found.returns_rows else None

    signal = "INSERT INTO signals (cryptocurrency_id, user_id, strategy_id, signal_type, timestamp)"
    trade = "INSERT INTO trades (cryptocurrency_id, user_id, signal_id, trade_type, price, quantity, status, timestamp)"
    rest = "'BUY', 1, 1, 'FAILED', now()) RETURNING user_id"
    for given in ("NULL", "2"):
        assert await written(f"{signal} VALUES (1, {given}, 1, 'BUY', now()) RETURNING user_id") == ANN
        assert await written(f"{trade} VALUES (1, {given}, 1, {rest}") == ANN
    # The fourth signal is nobody's: whoever follows it has their own trade.
    assert await written(f"{trade} VALUES (1, 2, 4, {rest}") == BEN
    assert await written("UPDATE signals SET user_id = 2 WHERE signal_id = 1 RETURNING user_id") == ANN
    # What a strategy leaves behind stays with who had it.
    await written("DELETE FROM trading_strategies WHERE strategy_id = 2")
    assert await written("SELECT user_id FROM signals WHERE signal_id = 1 AND strategy_id IS NULL") == ANN


async def test_another_viewer_costs_one_round_trip(stored: Database) -> None:
    """And the same viewer none."""
    query = "SELECT to_json(count(*)) FROM trades"
    await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=str(ANN))
    async with stored.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
    sent: list[str] = []
    driver.add_query_logger(lambda logged: sent.append(logged.query))
    for viewer, trips in ((str(ANN), 1), (str(BEN), 2), (str(BEN), 1), (row_security.NO_VIEWER, 2)):
        sent.clear()
        await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=viewer)
        # What is sent is logged a moment later.
        await asyncio.sleep(0)
        assert len(sent) == trips, sent
    with counted(stored) as statements:
        async with stored.transaction(viewer=str(ANN)) as connection:
            await connection.execute(text("SELECT 1"))
    assert len([statement for statement in statements if "set_config" in statement]) == 1


async def test_transactions_leave_nothing_behind(stored: Database) -> None:
    """However they end, and whoever wrote: the role and the viewer of reads are as before."""

    async def seen() -> tuple[Any, set[int]]:
        owners = await stored.fetch_value(text(OWNERS.format("trades")), viewer=str(BEN))
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


async def test_a_new_connection_is_behind_the_walls(stored: Database) -> None:
    query = "SELECT to_json(array_agg(DISTINCT user_id)) FROM trades"
    for _ in range(2):
        (owners,) = await stored.prepared.fetch_row(query, (), cache_statement=True, viewer=str(BEN))
        assert owners == b"[%d]" % BEN
        with pytest.raises(DatabaseUnavailable):
            async with stored.transaction() as connection:
                await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert await stored.fetch_value(text("SELECT current_user")) == row_security.ROLE


async def test_cut_off_while_the_viewer_changes(stored: Database) -> None:
    """Nobody knows then what the connection shows, so it is told again."""
    query = text(OWNERS.format("trades"))
    assert set(await stored.fetch_value(query, viewer=str(ANN))) == {ANN}
    async with stored.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        noted = connection.info

        class CutOff:
            async def fetchval(self, *args: Any) -> None:
                await driver.fetchval(*args)
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await row_security.set_viewer(str(BEN), noted, CutOff())
    assert set(await stored.fetch_value(query, viewer=str(ANN))) == {ANN}


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (
            ["UPDATE trading_strategies SET user_id = 2, name = 'given away' WHERE user_id = 1 AND strategy_id = 2"],
            "their strategy",
        ),
        (["ALTER TABLE trades DISABLE TRIGGER candlegraph_own", "UPDATE trades SET user_id = NULL"], "their signal"),
        (["ALTER TABLE signals DISABLE ROW LEVEL SECURITY"], "walls"),
        (["CREATE POLICY more ON trades USING (true)"], "walls"),
        (["DROP POLICY own ON idempotency_keys"], "walls"),
    ],
)
async def test_holes_are_found(changing: Database, damage: list[str], what: str) -> None:
    assert [check.what for check in await maintenance.verify(changing) if check.violations] == []
    async with changing.transaction() as connection:
        for statement in damage:
            await connection.execute(text(statement))
    (found,) = [check.what for check in await maintenance.verify(changing) if check.violations]
    assert what in found
