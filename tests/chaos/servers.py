"""Servers that are killed and started again, on the same ports: processes of our own, ended by their process id."""

import asyncio
import os
import random
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.soak.servers import COMMAND, REPOSITORY, STOP_SECONDS, free_port

START_SECONDS = 60
POOL_SIZE = 4


class Pause(NamedTuple):
    """Seconds between two kills: at least, and at most."""

    shortest: float
    longest: float


class Server:
    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.log = folder / f"{self.port}.log"
        self._folder = folder
        self._environment = environment
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                [str(COMMAND), "serve", "--no-demo", "--port", str(self.port)],
                # Not the repository: a .env in it is not ours to read.
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                # Ctrl-C reaches us alone, and we stop them in order.
                start_new_session=True,
            )

    def kill(self, how: signal.Signals) -> None:
        """Whatever it is doing, with SIGKILL; in order, with SIGTERM, if it takes no longer than it may."""
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.end()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        """Until it is ready. Raises RuntimeError with what it said."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
                return
            time.sleep(0.05)
        raise RuntimeError(f"A server does not start:\n{self.log.read_text()[-3000:]}")


def environment(database_url: str, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(REPOSITORY),
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": str(POOL_SIZE),
        "LOG_LEVEL": "WARNING",
        **more,
    }


async def kill_and_restart(
    servers: list[Server], kills: Counter[str], pause: Pause, most: int | None, stop: asyncio.Event
) -> None:
    """One after the other, in no order, until it is told to stop; so many of them at most."""
    while most is None or kills.total() < most:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), random.uniform(*pause))
        if stop.is_set():
            return
        server, how = random.choice(servers), random.choice((signal.SIGKILL, signal.SIGTERM))
        kills[how.name] += 1
        # In a thread: to wait here would keep the clients waiting.
        await asyncio.to_thread(_kill_and_restart, server, how)


def _kill_and_restart(server: Server, how: signal.Signals) -> None:
    server.kill(how)
    server.start()
    server.wait()
