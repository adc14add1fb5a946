"""Runs the application under uvicorn, in one process or several, and stops it cleanly."""

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

# What is under way when the server is told to stop is given up by its own deadline, or so much later.
GRACE_SECONDS = 1
_told_to_stop = Event()


def stop_on_sigterm() -> None:
    """Let SIGTERM end what was begun, as Ctrl-C does: the embedded PostgreSQL would go on without us."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # Python drops an exception that arrives within a finaliser, so it is written down as well.
        _told_to_stop.set()
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)


def listen(host: str, port: int, workers: int, settings: Settings) -> tuple[ServingConfig, socket.socket]:
    """The server's configuration and its socket, bound: a port that is taken is told before anything else is done."""
    config = ServingConfig(
        "server.process.serving:application",
        factory=True,
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
    """A second socket, bound too, for run()."""
    return _bound(uvicorn.Config("server.process.serving:application", host=host, port=port, log_config=None))


def _bound(config: uvicorn.Config) -> socket.socket:
    # It would say that it runs, which comes true only later; what goes wrong is still told.
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.WARNING)
    bound = config.bind_socket()
    log.setLevel(logging.NOTSET)
    # From here on, whoever connects waits until we serve.
    bound.listen(config.backlog)
    return bound


def application() -> Starlette:
    """The application of a process that serves."""
    app = create_app()
    # What is there by now stays. To look through it again takes the garbage collector 40 ms, in which nobody is
    # answered.
    gc.collect()
    gc.freeze()
    return app


def run(config: ServingConfig, *bound: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C. Returns once every request in flight is answered, or the grace is over."""
    if _told_to_stop.is_set():
        return
    # uvicorn raises the signal again when it is done; what was begun before must still be ended.
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
