"""The server stops in every state, and loses no request."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from server.jobs import settling
from tests.application import serving
from tests.db.activity import Activity, watching
from tests.server.cli.test_cli import COMMAND, environment, wait_until_ready
from tests.server.overload.keep_alive import Answer, Broken, Connection, Hammering, asked
from tests.waiting import eventually

COIN = '{ cryptocurrency(symbol: "BTC") { name } }'
SLOW = "{ signals(first: 1) { nodes { type } } }"
CLIENTS = 16
# For each step, on a busy machine.
DEADLINE = 30.0
# Longer than the steps of the test that it lasts for.
DELAY_SECONDS = 4
WORKERS = pytest.mark.parametrize("workers", [1, 2])


class Server:
    """A server process on the demo data, with the supervisor if it has several workers."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.process = process
        self.address = address

    def send(self, sent: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(sent)

    async def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self.process.wait, seconds)

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self.address.rpartition(":")[2]))) == 0

    async def is_stopping(self) -> bool:
        """Whether a process of it has received a signal: it is not ready any more, or does not listen."""
        with suppress(OSError, Broken):
            connection = await Connection.opened(self.address)
            try:
                return (await connection.get("/readyz")).status == 503
            finally:
                await connection.close()
        return not self.is_listening()


@contextmanager
def started(
    folder: Path, url: URL, workers: int = 1, *, logs_no_traceback: bool = True, **settings: str
) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = {"DATABASE_URL": url.render_as_string(hide_password=False), "CACHE_ENABLED": "false"}
    command = [*COMMAND, "serve", "--no-demo", "--port", str(port), "--workers", str(workers)]
    log = folder / "serve.log"
    with log.open("wb") as output:
        variables = environment() | database | settings
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=output)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            yield Server(process, f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            process.wait(10)
    if logs_no_traceback:
        assert b"Traceback" not in log.read_bytes()


@dataclass
class Blocked:
    """Requests in progress that wait for a lock in PostgreSQL."""

    answers: list[asyncio.Task[Answer]]
    activity: Activity
    lock: AsyncExitStack

    async def unblock(self) -> None:
        await self.lock.aclose()


@asynccontextmanager
async def blocked(server: Server, url: URL, number: int = 1) -> AsyncIterator[Blocked]:
    """So many requests that wait in PostgreSQL until they are unblocked, or until the end of the block."""
    locker = Database(url, pool_size=1)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(locker.close)
        activity = await stack.enter_async_context(watching(url))
        lock = await stack.enter_async_context(AsyncExitStack())
        connection = await lock.enter_async_context(locker.transaction())
        await connection.execute(text("LOCK TABLE signals"))
        answers = [asyncio.create_task(asked(server.address, SLOW)) for _ in range(number)]
        try:
            await eventually(lambda: _are_running(activity, number), DEADLINE)
            yield Blocked(answers, activity, lock)
        finally:
            for answer in answers:
                answer.cancel()
            await asyncio.gather(*answers, return_exceptions=True)


async def _are_running(activity: Activity, number: int) -> bool:
    return await activity.running("FROM signals") == number


@WORKERS
async def test_no_request_is_lost(tmp_path: Path, demo_url: URL, workers: int) -> None:
    with started(tmp_path, demo_url, workers) as server:
        hammering = Hammering(server.address)
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(hammering.client(COIN))
            await eventually(lambda: hammering.answers[200] > 10 * CLIENTS, DEADLINE)
            before = hammering.answers[200]
            server.send()
            assert await server.ended(DEADLINE) == 0
            hammering.is_over = True
    assert hammering.broken == 0
    assert hammering.answers.keys() == {200}
    assert hammering.answers[200] > before
    assert hammering.ended >= CLIENTS


@WORKERS
async def test_it_is_not_ready_and_serves_for_a_while(tmp_path: Path, demo_url: URL, workers: int) -> None:
    with started(tmp_path, demo_url, workers, SHUTDOWN_DELAY_SECONDS=str(DELAY_SECONDS)) as server:
        async with AsyncExitStack() as stack:
            connections = [await Connection.opened(server.address) for _ in range(4)]
            for connection in connections:
                stack.push_async_callback(connection.close)
                assert not (await connection.get("/readyz")).ends_connection
            server.send()
            stopped_at = time.monotonic()
            for connection in connections:
                await ends_as_draining(connection)
            # By now each worker that has a connection is draining. A new one still gets one response.
            for _ in range(10):
                answer = await asked(server.address, COIN)
                assert (answer.status, answer.ends_connection) == (200, True)
            assert time.monotonic() - stopped_at < DELAY_SECONDS, "the machine is too slow for this test"
            await eventually(lambda: not server.is_listening(), DEADLINE)
            assert time.monotonic() - stopped_at >= DELAY_SECONDS
            assert await server.ended(DEADLINE) == 0


async def ends_as_draining(connection: Connection) -> None:
    """Send requests on the connection until one ends it, and check the response."""

    async def has_ended() -> bool:
        ready = await connection.get("/readyz")
        if ready.ends_connection:
            assert ready.status == 503
            assert b"draining" in ready.body
        return ready.ends_connection

    await eventually(has_ended, DEADLINE)


async def test_requests_in_progress_are_finished(tmp_path: Path, demo_url: URL) -> None:
    with started(tmp_path, demo_url, REQUEST_TIMEOUT_SECONDS="60") as server:
        async with blocked(server, demo_url, 3) as requests:
            server.send()
            await eventually(lambda: not server.is_listening(), DEADLINE)
            assert server.process.poll() is None
            await requests.unblock()
            answers = await asyncio.gather(*requests.answers)
        assert {(answer.status, answer.ends_connection) for answer in answers} == {(200, True)}
        assert all(b'"errors"' not in answer.body for answer in answers)
        assert await server.ended(DEADLINE) == 0


async def test_requests_that_do_not_finish_reach_their_timeout(tmp_path: Path, demo_url: URL) -> None:
    with started(tmp_path, demo_url, REQUEST_TIMEOUT_SECONDS="2") as server:
        async with blocked(server, demo_url) as requests:
            server.send()
            [answer] = await asyncio.gather(*requests.answers)
            assert b"STATEMENT_TIMEOUT" in answer.body
            assert await server.ended(DEADLINE) == 0
            assert await requests.activity.running("FROM signals") == 0


@pytest.mark.parametrize(("first", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
async def test_a_second_ctrl_c_cancels_requests(
    tmp_path: Path, demo_url: URL, workers: int, first: signal.Signals
) -> None:
    patient = {"SHUTDOWN_DELAY_SECONDS": "120", "REQUEST_TIMEOUT_SECONDS": "120"}
    with started(tmp_path, demo_url, workers, logs_no_traceback=False, **patient) as server:
        async with blocked(server, demo_url) as requests:
            server.send(first)
            await eventually(server.is_stopping, DEADLINE)
            assert server.process.poll() is None
            server.send(signal.SIGINT)
            await server.ended(DEADLINE)
            await eventually(lambda: _are_running(requests.activity, 0), DEADLINE)


async def test_settling_ends_even_if_its_cancellation_is_lost(
    database_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation that arrives while SQLAlchemy closes a broken connection is lost."""
    has_begun = asyncio.Event()

    async def settle(_: Any) -> int:
        has_begun.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            raise OSError from None
        return 0

    monkeypatch.setattr(settling, "settle", settle)
    async with asyncio.timeout(DEADLINE), serving(database_url):
        await has_begun.wait()
