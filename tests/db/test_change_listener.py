"""Listening for changes: they arrive in order and in time, also across lost connections."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from statistics import quantiles
from typing import Any

import pytest
from sqlalchemy import URL, text
from structlog.testing import capture_logs

from db import changes
from db.changes import CHANNEL, announce_clear, listen
from db.engine import Database
from tests.db import scratch
from tests.db.scratch import Connection
from tests.waiting import eventually

COIN = "INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES ('{}', '', 'M1')"
LISTENERS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND (query LIKE '%pg_listening_channels%' OR query LIKE '%pg_postmaster_start_time%')
AND pid <> pg_backend_pid()
"""


class Recorder:
    """Records the events it receives; of heartbeats, the last one."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.since = 0.0
        self.after_change: Callable[[], object] = lambda: None

    def on_resync(self, home: str, snapshot: str, /) -> None:
        self.events.append(("resync", home, snapshot))

    def on_change(self, xid: int, table: str | None, coins: Collection[str] | None, /) -> None:
        self.events.append(("change", xid, table, coins))
        self.after_change()

    def on_transaction_end(self, xid: int, /) -> None:
        self.events.append(("end", xid))

    def on_heartbeat(self, since: float, /) -> None:
        assert self.since < since < time.monotonic()
        self.since = since

    def on_clear(self, pattern: str, /) -> None:
        self.events.append(("clear", pattern))

    def on_disconnect(self) -> None:
        self.events.append(("disconnect",))

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]

    @property
    def changed(self) -> set[int]:
        """The transactions whose changes have arrived."""
        return {event[1] for event in self.events if event[0] == "change"}

    async def beats(self) -> None:
        """Wait for a heartbeat that began after now."""
        now = time.monotonic()
        await eventually(lambda: self.since > now)

    async def receives(self, *names: str, seconds: float = 5) -> None:
        """Wait until these events have arrived since the list was cleared, and no others."""
        await eventually(lambda: len(self.events) >= len(names), seconds)
        assert self.names == list(names)


@asynccontextmanager
async def listening(database: Database, recorder: Recorder) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(listen(database, recorder))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def recorder(database: Database) -> AsyncIterator[Recorder]:
    """The recorder of a listener that is connected; the events of that are cleared."""
    recorder = Recorder()
    async with listening(database, recorder) as task:
        await recorder.receives("resync")
        # The first heartbeat writes a line to the log.
        await eventually(lambda: recorder.since > 0)
        recorder.events.clear()
        yield recorder
        assert not task.done()


@pytest.fixture
async def writer(database_url: URL) -> AsyncIterator[Connection]:
    writer = await scratch.connect(database_url)
    yield writer
    await writer.close()


async def test_a_snapshot_taken_after_a_change_has_arrived_sees_it(recorder: Recorder, writer: Connection) -> None:
    before = await writer.fetchval("SELECT pg_current_snapshot()::text")
    async with writer.transaction():
        await writer.execute(COIN.format("BTC"))
        xid = int(await writer.fetchval("SELECT pg_current_xact_id()::text"))
        # PostgreSQL would have delivered it before a heartbeat.
        await recorder.beats()
        assert recorder.events == []
    await recorder.receives("change")
    assert recorder.events == [("change", xid, "cryptocurrencies", ["BTC"])]
    sees = (
        "SELECT pg_visible_in_snapshot(($1::text)::xid8, coalesce($2::text, pg_current_snapshot()::text)::pg_snapshot)"
    )
    assert await writer.fetchval(sees, str(xid), None)
    assert not await writer.fetchval(sees, str(xid), before)


async def test_changes_arrive_in_order_and_without_delay(recorder: Recorder, writer: Connection) -> None:
    took, received = [], asyncio.Event()
    recorder.after_change = received.set
    for number in range(200):
        received.clear()
        await writer.execute(COIN.format(f"C{number}"))
        committed = time.perf_counter()
        await asyncio.wait_for(received.wait(), 5)
        took.append(time.perf_counter() - committed)
    assert [event[3] for event in recorder.events] == [[f"C{number}"] for number in range(200)]
    assert quantiles(took, n=100)[-1] < 0.05


async def test_a_change_that_has_arrived_is_visible_to_every_connection(
    recorder: Recorder, writer: Connection, database: Database
) -> None:
    async def write() -> None:
        for number in range(300):
            await writer.execute(COIN.format(f"C{number}"))

    writing = asyncio.create_task(write())
    while len(recorder.events) < 300:
        known = len(recorder.events)
        assert await database.fetch_value(text("SELECT count(*) FROM cryptocurrencies")) >= known
    await writing


async def test_every_change_committed_before_a_heartbeat_has_arrived(
    recorder: Recorder, writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pings all the time, and none of the time that a connection has to itself."""
    monkeypatch.setattr(changes, "PING_SECONDS", 0.0)
    committed: list[float] = []
    late: list[int] = []

    heartbeats: list[float] = []

    def check(since: float) -> None:
        heartbeats.append(since)
        late.extend(n for n, at in enumerate(committed) if at < since and n >= len(recorder.events))

    monkeypatch.setattr(recorder, "on_heartbeat", check)
    await eventually(lambda: len(heartbeats) > 1)
    for number in range(500):
        await writer.execute(COIN.format(f"C{number}"))
        committed.append(time.monotonic())
    await eventually(lambda: len(recorder.events) == 500)
    assert late == []


async def test_a_listener_that_starts_misses_nothing(database: Database, writer: Connection) -> None:
    """Each change is received, or seen by the snapshot of the resync."""
    xids: list[int] = []

    async def write() -> None:
        while True:
            async with writer.transaction():
                xids.append(int(await writer.fetchval("SELECT pg_current_xact_id()::text")))
                await writer.execute(COIN.format(f"C{len(xids)}"))

    writing = asyncio.create_task(write())
    for _ in range(20):
        assert await _missed(database, xids) == []
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def _missed(database: Database, xids: list[int]) -> list[int]:
    """The transactions that a listener started now neither receives nor sees."""
    recorder = Recorder()
    async with listening(database, recorder):
        await eventually(lambda: "resync" in recorder.names)
        last = len(xids) + 5
        await eventually(lambda: len(xids) > last and xids[last] in recorder.changed)
    _, end, running = next(event[2] for event in recorder.events if event[0] == "resync").split(":")
    return [
        xid
        for xid in xids[: last + 1]
        if xid not in recorder.changed and (xid >= int(end) or str(xid) in running.split(","))
    ]


async def test_heartbeats_continue_without_changes(recorder: Recorder) -> None:
    for _ in range(2):
        await recorder.beats()
    assert recorder.events == []


async def test_a_connection_that_is_terminated_is_replaced(recorder: Recorder, writer: Connection) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            began = time.monotonic()
            before = await writer.fetchval("SELECT pg_current_snapshot()::text")
            pid = await writer.fetchval(LISTENERS)
            await writer.execute("SELECT pg_terminate_backend($1)", pid)
            await writer.execute(COIN.format(f"C{pid}"))
            # Sooner than a ping would find out.
            await recorder.receives("disconnect", "resync", seconds=0.7)
            assert recorder.events[1][2] != before
            await writer.execute(COIN.format(f"D{pid}"))
            await recorder.receives("disconnect", "resync", "change")
            recorder.events.clear()
            await eventually(lambda: recorder.since > began)  # noqa: B023 - at once
    assert [log["event"] for log in logs] == ["change_listener_failed", "change_listener_connected"] * 3
    assert logs[0]["reason"] == "The connection to the database was lost."


async def test_a_server_that_hangs_is_disconnected(recorder: Recorder, writer: Connection) -> None:
    pid = await writer.fetchval(LISTENERS)
    os.kill(pid, signal.SIGSTOP)
    try:
        await recorder.receives("disconnect", "resync", seconds=2.5)
        await writer.execute("SELECT pg_notify($1, $2)", CHANNEL, json.dumps({"clear": "*"}))
        await recorder.receives("disconnect", "resync", "clear")
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_home_is_the_same_for_the_same_database_only(database: Database, postgres: URL) -> None:
    homes = []
    for url in (database.engine.url, database.engine.url, postgres):
        recorder, elsewhere = Recorder(), Database(url, pool_size=1)
        async with listening(elsewhere, recorder):
            await recorder.receives("resync")
            homes.append(recorder.events[0][1])
        assert recorder.names == ["resync", "disconnect"]
        await elsewhere.close()
    assert homes[0] == homes[1] != homes[2]


@pytest.mark.parametrize(
    "payload",
    [
        "rubbish",
        "",
        "[" * 7000,
        "5",
        "{}",
        '{"xid": 5, "table": "models", "coins": []}',
        '{"xid": "x", "table": "models", "coins": []}',
        '{"xid": "5", "table": "models"}',
        '{"xid": "5", "table": "models", "coins": [null]}',
        '{"xid": "5", "table": "models", "coins": "BTC"}',
        '{"clear": null}',
    ],
)
async def test_an_invalid_notification_causes_a_resync(recorder: Recorder, writer: Connection, payload: str) -> None:
    """As after a lost connection, but on the same one."""
    before, pid = await writer.fetchval("SELECT pg_current_snapshot()::text"), await writer.fetchval(LISTENERS)
    with capture_logs() as logs:
        async with writer.transaction():
            await writer.execute(COIN.format("BTC"))
            await writer.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
            await writer.execute(COIN.format("ETH"))
        # Notifications during the resync are passed on after it.
        await recorder.receives("change", "disconnect", "resync", "change")
    assert recorder.events[2][2] != before
    assert await writer.fetchval(LISTENERS) == pid
    assert logs[0]["payload"] == payload[:100]
    assert len(logs) == 1


@pytest.fixture
async def resyncing(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """The recorder of a listener whose query for a snapshot is running."""
    monkeypatch.setattr(changes, "_HOME_AND_SNAPSHOT", "SELECT '', pg_current_snapshot()::text FROM pg_sleep(0.5)")
    is_running = text(
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.5)' AND state = 'active'"
    )
    recorder = Recorder()
    async with listening(database, recorder):
        await eventually(lambda: database.fetch_value(is_running))
        yield recorder


async def test_an_invalid_notification_during_a_resync_causes_another(writer: Connection, resyncing: Recorder) -> None:
    """The last snapshot has seen it."""
    xid = await writer.fetchval("SELECT pg_current_xact_id()::text FROM pg_notify($1, 'rubbish')", CHANNEL)
    await resyncing.receives("resync", "disconnect", "resync")
    assert int(resyncing.events[2][2].split(":")[0]) > int(xid)


async def test_a_change_during_a_resync_is_passed_on_after_it(writer: Connection, resyncing: Recorder) -> None:
    """The snapshot may be older, and the subscriber may drop at a resync what it received before."""
    await writer.execute(COIN.format("BTC"))
    await resyncing.receives("resync", "change")
    assert resyncing.events[1][3] == ["BTC"]


async def test_a_subscriber_that_raises_gets_a_resync(recorder: Recorder, writer: Connection) -> None:
    def fail() -> None:
        raise RuntimeError

    recorder.after_change = fail
    await writer.execute(COIN.format("BTC"))
    await recorder.receives("change", "disconnect", "resync")


async def test_announcements_of_any_table_and_any_coin(
    recorder: Recorder, writer: Connection, database: Database
) -> None:
    async with database.transaction() as connection:
        await changes.announce_all(connection)
    await writer.execute("TRUNCATE trades")
    await recorder.receives("change", "change")
    assert [event[2:] for event in recorder.events] == [(None, None), ("trades", None)]


async def test_a_clear_is_passed_on(recorder: Recorder, database: Database) -> None:
    await announce_clear(database, 'a"*\\ü')
    await recorder.receives("clear")
    assert recorder.events == [("clear", 'a"*\\ü')]


async def test_a_session_that_no_longer_listens_is_disconnected(
    recorder: Recorder, writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that runs the statements of one client in any session."""
    monkeypatch.setattr(changes, "_IS_LISTENING", "SELECT false")
    await recorder.receives("disconnect", seconds=2)


async def test_a_listener_that_is_cancelled_leaves_no_connection(database: Database, writer: Connection) -> None:
    recorder = Recorder()
    async with listening(database, recorder) as task:
        await recorder.receives("resync")
    assert task.cancelled()
    assert recorder.names == ["resync", "disconnect"]

    async def is_gone() -> bool:
        return await writer.fetchval(LISTENERS) is None

    await eventually(is_gone)


async def test_an_unreachable_database_is_retried_with_growing_pauses(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def remember(seconds: float) -> None:
        # A server that an earlier test left to stop in a thread of its own sleeps as well.
        is_ours = asyncio.current_task() is task
        if is_ours:
            pauses.append(seconds)
        await sleep(0 if is_ours else seconds)

    url = URL.create("postgresql+asyncpg", "nobody", host="127.0.0.1", port=unused_tcp_port, database="none")
    database, recorder = Database(url, pool_size=1), Recorder()
    monkeypatch.setattr(changes.asyncio, "sleep", remember)
    with capture_logs() as logs:
        task = asyncio.create_task(listen(database, recorder))
        await eventually(lambda: len(pauses) >= 9)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for pause, longest in zip(pauses, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2], strict=False):
        assert longest / 2 <= pause <= longest
    assert recorder.events == []
    assert [(log["event"], log["reason"]) for log in logs] == [
        ("change_listener_failed", "The database cannot be reached.")
    ]
    await database.close()
