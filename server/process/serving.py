"""Runs the application under uvicorn, in one process or several, until a signal stops it."""

import gc
import logging
import math
import signal
import socket
import sys
from threading import Event
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.config import STARTUP_FAILURE

from server.app import create_app
from server.overload.protocol import Protocol
from server.process.stopping import DrainingServer, ServingConfig
from server.process.workers import Supervisor
from server.settings import Settings

# At shutdown, requests in progress are cancelled this long after their own deadline.
GRACE_SECONDS = 1
_received_sigterm = Event()


def stop_on_sigterm() -> None:
    """Exit on SIGTERM by an exception, as on Ctrl-C, so that the embedded PostgreSQL is stopped too."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # Python drops an exception that is raised within a finaliser, so the signal is recorded as well.
        _received_sigterm.set()
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)


def listen(host: str, port: int, workers: int, settings: Settings) -> tuple[ServingConfig, socket.socket]:
    """The server's configuration, and its bound socket: a port in use is reported before anything is started."""
    config = ServingConfig(
        "server.process.serving:application",
        factory=True,
        # An error at startup ends the process; with "auto", it would serve without its lifespan.
        lifespan="on",
        host=host,
        port=port,
        http=Protocol,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.request_timeout_seconds) + GRACE_SECONDS,
        shutdown_delay_seconds=settings.shutdown_delay_seconds,
    )
    return config, _bound(config)


def listen_privately(host: str, port: int) -> socket.socket:
    """A second bound socket for run()."""
    return _bound(uvicorn.Config("server.process.serving:application", host=host, port=port, log_config=None))


def _bound(config: uvicorn.Config) -> socket.socket:
    # uvicorn would log that it runs, before it does. Errors are still logged.
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.WARNING)
    bound = config.bind_socket()
    log.setLevel(logging.NOTSET)
    # From now on, connections wait in the backlog until the server accepts them.
    bound.listen(config.backlog)
    return bound


def application() -> Starlette:
    """The application, in a server process."""
    app = create_app()
    # The objects that exist by now stay. To traverse them again takes the garbage collector 40 ms, during which no
    # request is handled.
    gc.collect()
    gc.freeze()
    return app


def run(config: ServingConfig, *bound: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C. Returns when all requests in progress are answered or cancelled."""
    if _received_sigterm.is_set():
        return
    # uvicorn raises the signal again after its shutdown; the caller's cleanup must run all the same.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    if config.workers > 1:
        Supervisor(config, sockets=[*bound]).run()
        return
    server = DrainingServer(config)
    server.run(sockets=[*bound])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
