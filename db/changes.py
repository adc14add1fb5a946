"""Hearing of changes: triggers announce what a transaction has touched (migrations, docs/decisions/0009).

What is announced is JSON: {"xid": "731", "table": "market_data", "coins": ["BTC"]}. A table of null may be any, coins
of null may be any. A transaction that somebody waits for ends with {"xid": "731", "end": true}. People say
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
# For so long each statement of a listener may take, before its connection is given up.
PATIENCE_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 2.0
# Of what was said by nobody knows whom.
LOGGED_CHARACTERS = 100
log = structlog.get_logger("candlegraph.db")


class ChangeSubscriber(Protocol):
    """What is told of changes, in the order in which they were committed. None of these may wait, or raise.

    PostgreSQL delivers what a transaction announced once others see what it wrote: a statement that starts after
    heard() sees the change, on whatever connection to the same server. Some may see it a moment before it is heard.
    """

    def on_resync(self, home: str, snapshot: str, /) -> None:
        """Listening has begun: changes that this snapshot sees may never have been heard, all others will be.

        snapshot is the text of a pg_snapshot. Snapshots and transactions can be compared where home is the same: it
        names the database, its schema, and the run of its server.
        """

    def on_change(self, xid: int, table: str | None, coins: Collection[str] | None, /) -> None:
        """A transaction changed rows of this table (None: anything), of these coins (None: any)."""

    def on_transaction_end(self, xid: int, /) -> None:
        """Whatever this transaction announced has been heard. Only those say so that somebody waits for."""

    def on_heartbeat(self, since: float, /) -> None:
        """Everything whose commit was confirmed before time.monotonic() was this has been heard."""

    def on_clear(self, pattern: str, /) -> None:
        """Somebody asks to drop what has such a name."""

    def on_disconnect(self) -> None:
        """Changes are no longer heard, until on_resync() is called again."""


async def listen(database: Database, subscriber: ChangeSubscriber) -> None:
    """Tell the subscriber of all changes, for ever: a connection that is lost is replaced.

    The connection is no part of the pool. It needs a session of its own, which a pooler between must not share.
    """
    pause, is_known = SHORTEST_PAUSE_SECONDS, False
    while True:
        listener = _Listener(subscriber)
        try:
            async with database.dedicated_connection() as driver:
                await listener.listen(driver)
        except Exception as error:  # whatever it is, the next connection may be better
            if listener.has_listened:
                pause, is_known = SHORTEST_PAUSE_SECONDS, False
            if not is_known:
                log.warning("changes_not_heard", reason=_reason(error))
                is_known = True
        await asyncio.sleep(pause * uniform(0.5, 1))  # noqa: S311 - so that not all processes come at once
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _reason(error: Exception) -> str:
    reason = translate(error)
    return str(reason) if isinstance(reason, DatabaseError) else type(reason).__name__


class _Listener:
    """One connection that listens."""

    def __init__(self, subscriber: ChangeSubscriber) -> None:
        self._subscriber = subscriber
        self._is_behind = True
        self._woken = asyncio.Event()
        # What is said before it has caught up is told after: the snapshot may not have seen it.
        self._early: list[str] = []
        self.has_listened = False

    async def listen(self, driver: Any) -> NoReturn:
        # Called whoever ends the connection, we or the server.
        driver.add_termination_listener(self.fall_behind)
        with _patience(driver):
            await driver.add_listener(CHANNEL, self._hear)
        while True:
            if self._is_behind:
                await self._catch_up(driver)
            await self._ping(driver)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), PING_SECONDS)

    async def _catch_up(self, driver: Any) -> None:
        self._woken.set()
        # What wakes it meanwhile, the snapshot may not see.
        while self._woken.is_set():
            self._woken.clear()
            with _patience(driver):
                home, snapshot = await driver.fetchrow(_WHERE_WE_ARE)
        self._is_behind = False
        self._subscriber.on_resync(home, snapshot)
        early, self._early = self._early, []
        for payload in early:
            self._hear_now(payload)

    async def _ping(self, driver: Any) -> None:
        """PostgreSQL delivers what is due before it ends its answer, and the driver passes it on in that order."""
        since = time.monotonic()
        with _patience(driver):
            if not await driver.fetchval(_IS_LISTENING):
                raise DatabaseError("The session no longer listens.")
        if not self._is_behind:
            self._subscriber.on_heartbeat(since)
        if not self.has_listened:
            self.has_listened = True
            log.info("changes_heard")

    def fall_behind(self, *_: object) -> None:
        """The connection is lost, or something was said that may mean anything."""
        self._woken.set()
        if not self._is_behind:
            self._is_behind = True
            self._subscriber.on_disconnect()

    def _hear(self, _driver: object, _pid: int, _channel: str, payload: str) -> None:
        if self._is_behind:
            self._early.append(payload)
        else:
            self._hear_now(payload)

    def _hear_now(self, payload: str) -> None:
        try:
            self._tell(payload)
        except Exception as error:  # anybody may say anything, however deeply nested
            # Without the number of a transaction nobody can tell what has seen it: all that is known is in doubt.
            log.warning("not_understood", payload=payload[:LOGGED_CHARACTERS], error=type(error).__name__)
            self.fall_behind()

    def _tell(self, payload: str) -> None:
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
def _patience(driver: Any) -> Iterator[None]:
    """Give the connection up if this takes too long. To cancel it, the driver would have to ask the same server."""
    late = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, driver.terminate)
    try:
        yield
    finally:
        late.cancel()


async def announce_end(connection: AsyncConnection) -> int:
    """Announce, last of all, that the connection's transaction has announced everything; return its number."""
    number: int = (await connection.execute(_ANNOUNCE_END, {"channel": CHANNEL})).scalar_one()
    return number


async def announce_all(connection: AsyncConnection) -> None:
    """Announce that anything may have changed, once the connection's transaction is committed."""
    await connection.execute(_ANNOUNCE_ALL)


async def announce_clear(database: Database, pattern: str) -> None:
    """Ask every process to drop what has such a name. Raises a db.errors.DatabaseError."""
    said = {"channel": CHANNEL, "payload": json.dumps({"clear": pattern})}
    async with database.transaction() as connection:
        await connection.execute(text("SELECT pg_notify(:channel, :payload)"), said)


_IS_LISTENING = f"SELECT '{CHANNEL}' IN (SELECT pg_listening_channels())"
# A server that was restored, or took over from another, has started since: the start of its run tells histories apart,
# even those that its files do not. One that crashed goes on in the same run, and gives numbers of transactions again
# that it had not written down; but its statistics begin anew. Any role may read both.
_WHERE_WE_ARE = """
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
