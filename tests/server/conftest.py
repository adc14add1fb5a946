"""A server that listens, for what no client without a socket can tell."""

import socket
import time
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn
from sqlalchemy import URL

from tests.application import application


@pytest.fixture(scope="session")
def served(demo_url: URL) -> Iterator[str]:
    """The address of a server on the demo data."""
    server = uvicorn.Server(
        uvicorn.Config(application(demo_url), log_config=None, access_log=False, timeout_graceful_shutdown=5)
    )
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        thread = Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        host, port = bound.getsockname()
        yield f"http://{host}:{port}"
        server.should_exit = True
        thread.join()
