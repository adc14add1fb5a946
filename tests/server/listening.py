"""Servers that listen on a socket, for tests that need a real connection."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette


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
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        host, port = bound.getsockname()
        try:
            yield server, f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()
