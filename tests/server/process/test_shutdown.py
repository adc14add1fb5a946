"""The server stops, whatever it is doing, and loses no request over it."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from server import app
from tests.application import serving
from tests.db.activity import watching
from tests.server.cli.test_cli import COMMAND, environment, wait_until_ready
from tests.server.overload.keep_alive import Connection, Hammering, asked

COIN = '{ cryptocurrency(symbol: "BTC") { name } }'
SLOW = "{ signals(first: 1) { nodes { type } } }"
CLIENTS = 16
WORKERS = pytest.mark.parametrize("workers", [1, 2])


class Server:
    """A process that serves, on the demo data."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(how)

    async def ended(self, seconds: float) -> int:
        return await asyncio.to_thread(self.process.wait, seconds)

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0


@contextmanager
def started(
    folder: Path, url: URL, workers: int = 1, *, expects_peace: bool = True, **settings: str
) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = {"DATABASE_URL": url.render_as_string(hide_password=False), "CACHE_ENABLED": "false"}
    command = [*COMMAND, "serve", "--no-demo", "--port", str(port), "--workers", str(workers)]
    log = folder / "serve.log"
    with log.open("wb") as said:
        environment_of_it = environment() | database | settings
        process = subprocess.Popen(command, cwd=folder, env=environment_of_it, stdout=said, stderr=said)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait(10)
    if expects_peace:
        assert b"Traceback" not in log.read_bytes()


@WORKERS
async def test_no_request_is_lost(tmp_path: Path, demo_url: URL, workers: int) -> None:
    with started(tmp_path, demo_url, workers) as server:
        hammering = Hammering(server.address)
        clients = [asyncio.create_task(hammering.client(COIN)) for _ in range(CLIENTS)]
        await asyncio.sleep(0.7)
        before = hammering.answers[200]
        server.stop()
        assert await server.ended(10) == 0
        hammering.is_over = True
        await asyncio.gather(*clients)
    assert hammering.broken == 0
    assert hammering.answers.keys() == {200}
    assert hammering.answers[200] > before > CLIENTS
    assert hammering.ended >= CLIENTS


@WORKERS
async def test_it_is_not_ready_and_goes_on_for_a_while(tmp_path: Path, demo_url: URL, workers: int) -> None:
    with started(tmp_path, demo_url, workers, SHUTDOWN_DELAY_SECONDS="1") as server:
        kept = [await Connection.opened(server.address) for _ in range(4)]
        assert not (await kept[0].get("/readyz")).ends_connection
        server.stop()
        told = time.monotonic()
        await asyncio.sleep(0.3)
        for connection in kept:
            ready = await connection.get("/readyz")
            assert (ready.status, ready.ends_connection) == (503, True)
            assert b"draining" in ready.body
        # Whoever comes now is served still, once.
        while time.monotonic() - told < 0.9:
            answer = await asked(server.address, COIN)
            assert (answer.status, answer.ends_connection) == (200, True)
        await asyncio.sleep(0.4)
        assert not server.is_listening()
        assert await server.ended(5) == 0
        for connection in kept:
            await connection.close()


async def test_what_is_under_way_is_finished(tmp_path: Path, demo_url: URL) -> None:
    with started(tmp_path, demo_url) as server:
        locker = Database(demo_url, pool_size=1)
        async with watching(demo_url) as activity, locker.transaction() as locking:
            await locking.execute(text("LOCK TABLE signals"))
            asking = [asyncio.create_task(asked(server.address, SLOW)) for _ in range(3)]
            await activity.seconds_until("FROM signals", 3)
            server.stop()
            await asyncio.sleep(1.2)
            assert not server.is_listening()
            assert server.process.poll() is None
        answers = await asyncio.gather(*asking)
        assert {(answer.status, answer.ends_connection) for answer in answers} == {(200, True)}
        assert all(b'"errors"' not in answer.body for answer in answers)
        assert await server.ended(5) == 0
        await locker.close()


async def test_what_does_not_end_is_given_up(tmp_path: Path, demo_url: URL) -> None:
    with started(tmp_path, demo_url, REQUEST_TIMEOUT_SECONDS="1") as server:
        locker = Database(demo_url, pool_size=1)
        async with watching(demo_url) as activity, locker.transaction() as locking:
            await locking.execute(text("LOCK TABLE signals"))
            asking = asyncio.create_task(asked(server.address, SLOW))
            await activity.seconds_until("FROM signals", 1)
            server.stop()
            assert b"STATEMENT_TIMEOUT" in (await asking).body
            assert await server.ended(3) == 0
            assert await activity.running("FROM signals") == 0
        await locker.close()


@pytest.mark.parametrize(("first", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
async def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, demo_url: URL, workers: int, first: signal.Signals) -> None:
    patient = {"SHUTDOWN_DELAY_SECONDS": "30", "REQUEST_TIMEOUT_SECONDS": "30"}
    with started(tmp_path, demo_url, workers, expects_peace=False, **patient) as server:
        locker = Database(demo_url, pool_size=1)
        async with watching(demo_url) as activity, locker.transaction() as locking:
            await locking.execute(text("LOCK TABLE signals"))
            asking = asyncio.create_task(asked(server.address, SLOW))
            await activity.seconds_until("FROM signals", 1)
            server.stop(first)
            await asyncio.sleep(0.5)
            assert server.process.poll() is None
            server.stop(signal.SIGINT)
            await server.ended(3)
            await activity.seconds_until("FROM signals", 0)
        await asyncio.wait({asking})
        asking.exception()
        await locker.close()


async def test_settling_ends_even_if_it_misses_that_it_is_told_to(
    demo_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What closes a broken connection swallows a cancellation that comes meanwhile."""
    settling = asyncio.Event()

    async def settle(_: Any) -> int:
        settling.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise OSError from None
        return 0

    monkeypatch.setattr(app, "settle", settle)
    async with asyncio.timeout(10), serving(demo_url):
        await settling.wait()
