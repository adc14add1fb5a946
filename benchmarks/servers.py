"""Starts and stops the compared servers: one process each, on a loopback port."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx
import psutil

from benchmarks.database import FOLDER, REPOSITORY
from benchmarks.postgraphile import postgraphile_command
from benchmarks.queries import COUNT, Query

START_SECONDS = 60
STOP_SECONDS = 15

# Servers without GraphQL, with a route for each query.
BARE = ("floor", "static")
LABELS = {
    "candlegraph": "Candlegraph",
    "cold": "Candlegraph, cold",
    "floor": "the floor",
    "strawberry": "Strawberry",
    "postgraphile": "PostGraphile",
}
# Servers of the part `cache`.
CACHE_LABELS = {"memory": "Candlegraph, from memory", "redis": "Candlegraph, from Redis", "static": "static bytes"}
ALL_LABELS = {**LABELS, **CACHE_LABELS}


@dataclass
class Server:
    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def url(self, query: Query) -> str:
        return f"http://127.0.0.1:{self.port}/{query.name if self.name in BARE else 'graphql'}"

    def send(self, query: Query, number: int = 0) -> httpx.Response:
        """Send the request body of this number. Raises RuntimeError for an error status or an answer with errors."""
        bodies = query.bodies(self.name)
        body = httpx.Request("POST", "http://x", json=bodies[number % len(bodies)]).content
        body = body.replace(COUNT.encode(), b"%09d" % number)
        headers = {"Content-Type": "application/json"}
        response = httpx.post(self.url(query), content=body, headers=headers, timeout=60)
        if response.status_code != 200 or b'"errors"' in response.content[:200]:
            raise RuntimeError(f"{ALL_LABELS[self.name]} fails to answer {query.name}: {response.text[:500]}")
        return response

    def answer_bytes(self, query: Query) -> int:
        """The length in bytes of a response, including its status line and headers."""
        response = self.send(query)
        head = b"".join(name + b": " + value + b"\r\n" for name, value in response.headers.raw)
        return len("HTTP/1.1 200 OK\r\n") + len(head) + len("\r\n") + len(response.content)

    @property
    def resident_bytes(self) -> int:
        rss: int = psutil.Process(self.process.pid).memory_info().rss
        return rss

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(psutil.Process(self.process.pid))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    seconds: float = times.user + times.system
    return seconds


@contextmanager
def started(
    names: Sequence[str],
    database_url: str,
    pool_size: int,
    redis_url: str = "",
    settings: Mapping[str, str] = MappingProxyType({}),
    checkout: Path = REPOSITORY,
) -> Iterator[dict[str, Server]]:
    """Running servers that accept connections, by name. They are stopped at the end of the block, also on an error.

    settings: additional environment variables. checkout: the folder that Candlegraph is installed in.
    Raises RuntimeError if a server does not start.
    """
    with ExitStack() as stack:
        servers = {}
        for name in names:
            servers[name] = _start(name, database_url, pool_size, redis_url, settings, checkout)
            stack.callback(servers[name].stop)
        for server in servers.values():
            _wait_until_listening(server)
        yield servers


def _start(
    name: str, database_url: str, pool_size: int, redis_url: str, settings: Mapping[str, str], checkout: Path
) -> Server:
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": str(pool_size),
        "ENVIRONMENT": "production",
        # Only public data is measured, as the other servers do not authenticate.
        "AUTH_MODE": "open",
        "SECRET_KEY": secrets.token_hex(32),
        "LOG_LEVEL": "WARNING",
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
        "PORT": str(port),
        "PYTHONPATH": str(checkout),
        "STATIC_ANSWERS": str(FOLDER / "static"),
        **_cache_settings(name, redis_url),
        **settings,
    }
    log_path = FOLDER / (f"{name}.log" if checkout == REPOSITORY else f"{name}-other.log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            _command(name, port, checkout),
            # Not the repository, so that its .env is not loaded.
            cwd=FOLDER,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C reaches only this process, which stops the servers in order.
            start_new_session=True,
        )
    return Server(name, port, process, log_path)


def _cache_settings(name: str, redis_url: str) -> dict[str, str]:
    """Cache settings of Candlegraph: no cache if it is compared with servers that have none."""
    if name == "redis":
        return {"REDIS_URL": redis_url, "CACHE_MEMORY_MB": "0"}
    return {} if name == "memory" else {"CACHE_ENABLED": "false"}


def _command(name: str, port: int, checkout: Path) -> list[str]:
    if name in ("candlegraph", "cold", "memory", "redis"):
        return [str(checkout / ".venv/bin/candlegraph"), "serve", "--no-demo", "--port", str(port)]
    if name == "postgraphile":
        return postgraphile_command()
    module = {"floor": "floor", "static": "static", "strawberry": "strawberry_tutorial"}[name]
    uvicorn = [sys.executable, "-m", "uvicorn", f"benchmarks.peers.{module}:app", "--port", str(port)]
    return [*uvicorn, "--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log"]


def _wait_until_listening(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    log = server.log.read_text(errors="replace")
    raise RuntimeError(f"{ALL_LABELS[server.name]} does not start:\n{log[-3000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
