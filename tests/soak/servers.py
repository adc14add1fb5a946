"""The servers under test: separate processes on ports of loopback, stopped by their process id."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("candlegraph")
# Few, so that all are opened at the beginning.
POOL_SIZE = 2
REDIS_CONNECTIONS = 16
START_SECONDS = 60
STOP_SECONDS = 10


class Server(NamedTuple):
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def started(number: int, folder: Path, database_url: str, redis_url: str) -> Iterator[list[Server]]:
    """So many servers, ready; all are stopped at the end of the block."""
    with ExitStack() as stack:
        servers = []
        for _ in range(number):
            servers.append(start(folder, database_url, redis_url))
            stack.callback(servers[-1].end)
        for server in servers:
            await_ready(server)
        yield servers


def stopped(servers: list[Server]) -> list[int | None]:
    """Stop the servers; return their exit codes, None for those that do not stop in time."""
    for server in servers:
        server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and any(server.process.poll() is None for server in servers):
        time.sleep(0.05)
    return [server.process.poll() for server in servers]


def start(folder: Path, database_url: str, redis_url: str = "") -> Server:
    """A server that is starting. redis_url: empty for memory alone."""
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(REPOSITORY),
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": str(POOL_SIZE),
        "REDIS_URL": redis_url,
        "REDIS_MAX_CONNECTIONS": str(REDIS_CONNECTIONS),
        "LOG_LEVEL": "WARNING",
    }
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--no-demo", "--port", str(port)],
            # Not the repository, whose .env must not be read.
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C reaches this process alone, which stops them in order.
            start_new_session=True,
        )
    return Server(port, process, log)


def await_ready(server: Server) -> None:
    """Wait until it is ready. Raises RuntimeError with its log if it does not start."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.url}/readyz", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"A server does not start:\n{server.log.read_text()[-3000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
