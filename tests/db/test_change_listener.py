"""Hearing of changes: in order, in time, and through whatever becomes of the connection."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Collection
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

COIN = "INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES ('{}', '', 'M1')"
LISTENERS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database()
AND (query LIKE '%pg_listening_channels%' OR query LIKE '%pg_postmaster_start_time%')
AND pid <> pg_backend_pid()
"""


class Recorder:
    """Remembers what it is told, but for the pings, of which it remembers the last."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.since = 0.0
        self.on_change: Callable[[], None] = lambda: None

    def on_resync(self, home: str, snapshot: str, /) -> None:
        self.told.append(("caught up", home, snapshot))

    def on_change(self, xid: int, table: str | None, coins: Collection[str] | None, /) -> None:
        self.told.append(("heard", xid, table, coins))
        self.on_change()

    def on_heartbeat(self, since: float, /) -> None:
        assert self.since < since < time.monotonic()
        self.since = since

    def on_clear(self, pattern: str, /) -> None:
        self.told.append(("clear", pattern))

    def on_disconnect(self) -> None:
        self.told.append(("cut off",))

    @property
    def what(self) -> list[str]:
        return [told[0] for told in self.told]

    async def until(self, *what: str, seconds: float = 5) -> None:
        """Wait until it was told just this, since it was last asked."""
        await eventually(lambda: len(self.told) >= len(what), seconds)
        assert self.what == list(what)


async def eventually(holds: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is told is told to plain functions
            await asyncio.sleep(0.001)


@pytest.fixture
async def recorder(database: Database) -> AsyncIterator[Recorder]:
    """It has caught up, and forgotten that."""
    recorder = Recorder()
    listening = asyncio.create_task(listen(database, recorder))
    await recorder.until("caught up")
    # The first ping is what is logged.
    await eventually(lambda: recorder.since > 0)
    recorder.told.clear()
    yield recorder
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture
async def writer(database_url: URL) -> AsyncIterator[Connection]:
    writer = await scratch.connect(database_url)
    yield writer
    await writer.close()


async def test_a_snapshot_taken_after_hearing_sees_the_change(recorder: Recorder, writer: Connection) -> None:
    before = await writer.fetchval("SELECT pg_current_snapshot()::text")
    async with writer.transaction():
        await writer.execute(COIN.format("BTC"))
        xid = int(await writer.fetchval("SELECT pg_current_xact_id()::text"))
        await asyncio.sleep(0.1)
        assert recorder.told == []
    await recorder.until("heard")
    assert recorder.told == [("heard", xid, "cryptocurrencies", ["BTC"])]
    sees = (
        "SELECT pg_visible_in_snapshot(($1::text)::xid8, coalesce($2::text, pg_current_snapshot()::text)::pg_snapshot)"
    )
    assert await writer.fetchval(sees, str(xid), None)
    assert not await writer.fetchval(sees, str(xid), before)


async def test_changes_are_heard_in_order_and_at_once(recorder: Recorder, writer: Connection) -> None:
    took, heard = [], asyncio.Event()
    recorder.on_change = heard.set
    for number in range(200):
        heard.clear()
        await writer.execute(COIN.format(f"C{number}"))
        committed = time.perf_counter()
        await asyncio.wait_for(heard.wait(), 5)
        took.append(time.perf_counter() - committed)
    assert [told[3] for told in recorder.told] == [[f"C{number}"] for number in range(200)]
    assert quantiles(took, n=100)[-1] < 0.05


async def test_changes_are_seen_by_all_when_they_are_heard(
    recorder: Recorder, writer: Connection, database: Database
) -> None:
    async def write() -> None:
        for number in range(300):
            await writer.execute(COIN.format(f"C{number}"))

    writing = asyncio.create_task(write())
    while len(recorder.told) < 300:
        known = len(recorder.told)
        assert await database.fetch_value(text("SELECT count(*) FROM cryptocurrencies")) >= known
    await writing


async def test_all_that_was_committed_before_a_ping_has_been_heard(
    recorder: Recorder, writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pings all the time, and none of the time that a connection has to itself."""
    monkeypatch.setattr(changes, "PING_SECONDS", 0.0)
    committed: list[float] = []
    late: list[int] = []

    def check(since: float) -> None:
        late.extend(n for n, at in enumerate(committed) if at < since and n >= len(recorder.told))

    monkeypatch.setattr(recorder, "still_listening", check)
    await asyncio.sleep(1.1)
    for number in range(500):
        await writer.execute(COIN.format(f"C{number}"))
        committed.append(time.monotonic())
    await asyncio.sleep(0.1)
    assert late == []
    assert len(recorder.told) == 500


async def test_a_listener_that_begins_misses_nothing(database: Database, writer: Connection) -> None:
    """Each change is heard, or seen by the snapshot."""
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
    """The transactions that one who begins to listen now neither hears nor sees."""
    recorder = Recorder()
    listening = asyncio.create_task(listen(database, recorder))
    await eventually(lambda: "caught up" in recorder.what)
    last = len(xids) + 5
    await eventually(lambda: len(xids) > last and ("heard", xids[last]) in [told[:2] for told in recorder.told])
    listening.cancel()
    heard = {told[1] for told in recorder.told if told[0] == "heard"}
    _, end, running = next(told[2] for told in recorder.told if told[0] == "caught up").split(":")
    return [xid for xid in xids[: last + 1] if xid not in heard and (xid >= int(end) or str(xid) in running.split(","))]


async def test_pings_confirm_that_changes_are_heard(recorder: Recorder) -> None:
    before = recorder.since
    await asyncio.sleep(2.2)
    assert before < recorder.since
    assert time.monotonic() - recorder.since < 1.2
    assert recorder.told == []


async def test_a_connection_that_is_ended(recorder: Recorder, writer: Connection) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            began = time.monotonic()
            before = await writer.fetchval("SELECT pg_current_snapshot()::text")
            pid = await writer.fetchval(LISTENERS)
            await writer.execute("SELECT pg_terminate_backend($1)", pid)
            await writer.execute(COIN.format(f"C{pid}"))
            # Sooner than a ping would find out.
            await recorder.until("cut off", "caught up", seconds=0.7)
            assert recorder.told[1][2] != before
            await writer.execute(COIN.format(f"D{pid}"))
            await recorder.until("cut off", "caught up", "heard")
            recorder.told.clear()
            await eventually(lambda: recorder.since > began)  # noqa: B023 - at once
    assert [log["event"] for log in logs] == ["changes_not_heard", "changes_heard"] * 3
    assert logs[0]["reason"] == "The connection to the database was lost."


async def test_a_server_that_hangs(recorder: Recorder, writer: Connection) -> None:
    pid = await writer.fetchval(LISTENERS)
    os.kill(pid, signal.SIGSTOP)
    try:
        await recorder.until("cut off", "caught up", seconds=2.5)
        await writer.execute("SELECT pg_notify($1, $2)", CHANNEL, json.dumps({"clear": "*"}))
        await recorder.until("cut off", "caught up", "clear")
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_home_is_the_same_until_the_database_is_another(database: Database, postgres: URL) -> None:
    homes = []
    for url in (database.engine.url, database.engine.url, postgres):
        recorder, elsewhere = Recorder(), Database(url, pool_size=1)
        listening = asyncio.create_task(listen(elsewhere, recorder))
        await recorder.until("caught up")
        homes.append(recorder.told[0][1])
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert recorder.what == ["caught up", "cut off"]
        await elsewhere.close()
    assert homes[0] == homes[1] != homes[2]


@pytest.mark.parametrize(
    "said",
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
async def test_what_is_not_understood_may_be_anything(recorder: Recorder, writer: Connection, said: str) -> None:
    """As if the connection had been lost, but it is still there."""
    before, pid = await writer.fetchval("SELECT pg_current_snapshot()::text"), await writer.fetchval(LISTENERS)
    with capture_logs() as logs:
        async with writer.transaction():
            await writer.execute(COIN.format("BTC"))
            await writer.execute("SELECT pg_notify($1, $2)", CHANNEL, said)
            await writer.execute(COIN.format("ETH"))
        # What is said meanwhile is told once the snapshot is there.
        await recorder.until("heard", "cut off", "caught up", "heard")
    assert recorder.told[2][2] != before
    assert await writer.fetchval(LISTENERS) == pid
    assert logs[0]["payload"] == said[:100]
    assert len(logs) == 1


@pytest.fixture
async def catching_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Recorder]:
    """It is asking for its snapshot, and has been for a while."""
    monkeypatch.setattr(changes, "_WHERE_WE_ARE", "SELECT '', pg_current_snapshot()::text FROM pg_sleep(0.3)")
    recorder = Recorder()
    listening = asyncio.create_task(listen(database, recorder))
    await asyncio.sleep(0.15)
    yield recorder
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_what_is_not_understood_while_catching_up(writer: Connection, catching_up: Recorder) -> None:
    """The snapshot that is told last has seen it."""
    xid = await writer.fetchval("SELECT pg_current_xact_id()::text FROM pg_notify($1, 'rubbish')", CHANNEL)
    await catching_up.until("caught up", "cut off", "caught up")
    assert int(catching_up.told[2][2].split(":")[0]) > int(xid)


async def test_what_changes_while_catching_up_is_told_after(writer: Connection, catching_up: Recorder) -> None:
    """The snapshot may be from before, and whoever is told of it may forget all that was told earlier."""
    await writer.execute(COIN.format("BTC"))
    await catching_up.until("caught up", "heard")
    assert catching_up.told[1][3] == ["BTC"]


async def test_a_hearer_that_fails_catches_up(recorder: Recorder, writer: Connection) -> None:
    recorder.on_change = lambda: recorder.missing
    await writer.execute(COIN.format("BTC"))
    await recorder.until("heard", "cut off", "caught up")


async def test_anything_and_any_coin(recorder: Recorder, writer: Connection, database: Database) -> None:
    async with database.transaction() as connection:
        await changes.announce_all(connection)
    await writer.execute("TRUNCATE trades")
    await recorder.until("heard", "heard")
    assert [told[2:] for told in recorder.told] == [(None, None), ("trades", None)]


async def test_being_told_to_clear(recorder: Recorder, database: Database) -> None:
    await announce_clear(database, 'a"*\\ü')
    await recorder.until("clear")
    assert recorder.told == [("clear", 'a"*\\ü')]


async def test_a_session_that_no_longer_listens(
    recorder: Recorder, writer: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a pooler that gives the statements of one client to any session."""
    monkeypatch.setattr(changes, "_IS_LISTENING", "SELECT false")
    await recorder.until("cut off", seconds=2)


async def test_a_listener_that_is_cancelled_leaves_no_connection(database: Database, writer: Connection) -> None:
    recorder = Recorder()
    listening = asyncio.create_task(listen(database, recorder))
    await recorder.until("caught up")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert listening.cancelled()
    assert recorder.what == ["caught up", "cut off"]
    await asyncio.sleep(0.2)
    assert await writer.fetchval(LISTENERS) is None


async def test_a_database_that_is_not_there(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def remember(seconds: float) -> None:
        # A server that an earlier test left to end in a thread of its own sleeps as well.
        is_ours = asyncio.current_task() is listening
        if is_ours:
            pauses.append(seconds)
        await sleep(0 if is_ours else seconds)

    url = URL.create("postgresql+asyncpg", "nobody", host="127.0.0.1", port=unused_tcp_port, database="none")
    database, recorder = Database(url, pool_size=1), Recorder()
    monkeypatch.setattr(changes.asyncio, "sleep", remember)
    with capture_logs() as logs:
        listening = asyncio.create_task(listen(database, recorder))
        while len(pauses) < 9:
            await sleep(0.001)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    for pause, longest in zip(pauses, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2], strict=False):
        assert longest / 2 <= pause <= longest
    assert recorder.told == []
    assert [(log["event"], log["reason"]) for log in logs] == [("changes_not_heard", "The database cannot be reached.")]
    await database.close()
