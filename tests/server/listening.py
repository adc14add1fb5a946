"""Servers that listen on a socket, for tests that need a real connection."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette

from tests.waiting import eventually_sync


@contextmanager
def listening(app: Starlette, **config: Any) -> Iterator[tuple[uvicorn.Server, str]]:
    """A server in a thread of its own, and its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5, **config)
    )
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        eventually_sync(lambda: server.started or not thread.is_alive(), 60)
        assert server.started
        host, port = bound.getsockname()
        try:
            yield server, f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()
