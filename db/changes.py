"""LISTEN for changes: triggers announce the rows that a transaction changed (migrations, docs/decisions/0009).

An announcement is JSON: {"xid": "731", "table": "market_data", "coins": ["BTC"]}. A null table stands for any table,
null coins for any coin. A transaction that a writer waits for ends with {"xid": "731", "end": true}. Operators send
{"clear": "pattern"}.
"""

import asyncio
import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from random import uniform
from typing import Any, NoReturn, Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.errors import DatabaseError, translate

CHANNEL = "candlegraph"
PING_SECONDS = 1.0
# How long a statement of a listener may take before its connection is closed.
STATEMENT_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
# How much of an invalid notification is logged: any client may send one.
LOGGED_CHARACTERS = 100
log = structlog.get_logger("candlegraph.db")


class ChangeSubscriber(Protocol):
    """Receives changes in the order in which they were committed. None of these methods may wait, or raise.

    PostgreSQL delivers an announcement once other transactions see what was written: a statement that starts after
    on_change() sees the change, on any connection to the same server. Some may see it a moment before on_change().
    """

    def on_resync(self, home: str, snapshot: str, /) -> None:
        """Listening has begun: changes that this snapshot sees may have been missed, all others will be received.

        snapshot is the text of a pg_snapshot. Snapshots and transactions can be compared if home is the same: it names
        the database, its schema, and the run of its server.
        """

    def on_change(self, xid: int, table: str | None, coins: Collection[str] | None, /) -> None:
        """A transaction changed rows of this table (None: of any), of these coins (None: of any)."""

    def on_transaction_end(self, xid: int, /) -> None:
        """All announcements of this transaction have arrived. Sent only by transactions that a writer waits for."""

    def on_heartbeat(self, since: float, /) -> None:
        """Every change whose commit was confirmed before this time.monotonic() has been received."""

    def on_clear(self, pattern: str, /) -> None:
        """An operator clears what is cached under names that match."""

    def on_disconnect(self) -> None:
        """Changes are not received until on_resync() is called again."""


async def listen(database: Database, subscriber: ChangeSubscriber) -> None:
    """Pass all changes to the subscriber, until cancelled: a lost connection is replaced.

    The connection is not part of the pool. It needs a session of its own, which a pooler in between must not share.
    """
    pause, is_logged = SHORTEST_PAUSE_SECONDS, False
    while True:
        listener = _Listener(subscriber)
        try:
            async with database.dedicated_connection() as driver:
                await listener.listen(driver)
        except Exception as error:  # whatever the error, the next connection may work
            if listener.has_listened:
                pause, is_logged = SHORTEST_PAUSE_SECONDS, False
            if not is_logged:
                log.warning("change_listener_failed", reason=_reason(error))
                is_logged = True
        await asyncio.sleep(pause * uniform(0.5, 1))  # noqa: S311 - so that processes do not reconnect together
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    reason = translate(error)
    return str(reason) if isinstance(reason, DatabaseError) else type(reason).__name__


class _Listener:
    """One LISTEN connection."""

    def __init__(self, subscriber: ChangeSubscriber) -> None:
        self._subscriber = subscriber
        # Until a resync: at the start, and after anything that may have lost a change.
        self._needs_resync = True
        self._wakeup = asyncio.Event()
        # Notifications that arrive before the resync are passed on after it: its snapshot may not have seen them.
        self._early: list[str] = []
        self.has_listened = False

    async def listen(self, driver: Any) -> NoReturn:
        # Called whichever side closes the connection.
        driver.add_termination_listener(self.disconnect)
        with _timeout(driver):
            await driver.add_listener(CHANNEL, self._receive)
        while True:
            if self._needs_resync:
                await self._resync(driver)
            await self._ping(driver)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wakeup.wait(), PING_SECONDS)

    async def _resync(self, driver: Any) -> None:
        self._wakeup.set()
        # Again if it is woken during the query: the snapshot may not see the reason.
        while self._wakeup.is_set():
            self._wakeup.clear()
            with _timeout(driver):
                home, snapshot = await driver.fetchrow(_HOME_AND_SNAPSHOT)
        self._needs_resync = False
        self._subscriber.on_resync(home, snapshot)
        early, self._early = self._early, []
        for payload in early:
            self._handle(payload)

    async def _ping(self, driver: Any) -> None:
        """PostgreSQL delivers pending notifications before it ends its reply, and the driver keeps that order."""
        since = time.monotonic()
        with _timeout(driver):
            if not await driver.fetchval(_IS_LISTENING):
                raise DatabaseError("The session no longer listens.")
        if not self._needs_resync:
            self._subscriber.on_heartbeat(since)
        if not self.has_listened:
            self.has_listened = True
            log.info("change_listener_connected")

    def disconnect(self, *_: object) -> None:
        """The connection is lost, or an invalid notification may have been a change."""
        self._wakeup.set()
        if not self._needs_resync:
            self._needs_resync = True
            self._subscriber.on_disconnect()

    def _receive(self, _driver: object, _pid: int, _channel: str, payload: str) -> None:
        if self._needs_resync:
            self._early.append(payload)
        else:
            self._handle(payload)

    def _handle(self, payload: str) -> None:
        try:
            self._dispatch(payload)
        except Exception as error:  # any client may send anything, however deeply nested
            # Without a transaction number, the snapshots that have seen it are unknown: start again.
            log.warning("notification_invalid", payload=payload[:LOGGED_CHARACTERS], error=type(error).__name__)
            self.disconnect()

    def _dispatch(self, payload: str) -> None:
        match json.loads(payload):
            case {"xid": str(xid), "table": str() | None as table, "coins": None}:
                self._subscriber.on_change(int(xid), table, None)
            case {"xid": str(xid), "table": str() | None as table, "coins": [*coins]} if _are_texts(coins):
                self._subscriber.on_change(int(xid), table, coins)
            case {"xid": str(xid), "end": True}:
                self._subscriber.on_transaction_end(int(xid))
            case {"clear": str(pattern)}:
                self._subscriber.on_clear(pattern)
            case _:
                raise ValueError


def _are_texts(values: list[object]) -> bool:
    return all(isinstance(value, str) for value in values)


@contextmanager
def _timeout(driver: Any) -> Iterator[None]:
    """Close the connection if the block takes too long. A cancellation would need the same server to respond."""
    timer = asyncio.get_running_loop().call_later(STATEMENT_SECONDS, driver.terminate)
    try:
        yield
    finally:
        timer.cancel()


async def announce_end(connection: AsyncConnection) -> int:
    """Announce, as the last statement of the connection's transaction, its end; return its number."""
    number: int = (await connection.execute(_ANNOUNCE_END, {"channel": CHANNEL})).scalar_one()
    return number


async def announce_all(connection: AsyncConnection) -> None:
    """Announce that any row may have changed, once the connection's transaction is committed."""
    await connection.execute(_ANNOUNCE_ALL)


async def announce_clear(database: Database, pattern: str) -> None:
    """Have every process clear what is cached under matching names. Raises a db.errors.DatabaseError."""
    parameters = {"channel": CHANNEL, "payload": json.dumps({"clear": pattern})}
    async with database.transaction() as connection:
        await connection.execute(text("SELECT pg_notify(:channel, :payload)"), parameters)


_IS_LISTENING = f"SELECT '{CHANNEL}' IN (SELECT pg_listening_channels())"
# A server that was restored, or took over from another, has been started since: its start time distinguishes histories
# that its files do not. A server that crashed continues in the same run, and reuses transaction numbers that it had not
# written to disk; but its statistics are reset. Any role may read both.
_HOME_AND_SNAPSHOT = """
    SELECT concat_ws('/', extract(epoch FROM pg_postmaster_start_time()),
            (SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter), oid, current_schema),
        pg_current_snapshot()::text
    FROM pg_database WHERE datname = current_database()
"""
_ANNOUNCE_ALL = text(f"""
    SELECT pg_notify('{CHANNEL}', json_build_object(
        'xid', CAST(pg_current_xact_id() AS text), 'table', NULL, 'coins', NULL
    )::text)
""")

_ANNOUNCE_END = text("""
    WITH me AS MATERIALIZED (SELECT CAST(pg_current_xact_id() AS text) AS xid)
    SELECT CAST(xid AS bigint) FROM me, pg_notify(:channel, CAST(json_build_object('xid', xid, 'end', true) AS text))
""")
