"""Worker processes that serve the same sockets, and the supervisor that starts, monitors and stops them."""

import os
import signal
import socket
import time

import uvicorn
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from server.process.stopping import DrainingServer, ServingConfig

POLL_SECONDS = 0.05
# Interval of the check that the workers are alive.
CHECK_SECONDS = 0.5
# A worker that has not answered after this time is replaced. uvicorn's check allows 5 s from the start on: on a busy
# machine, the imports alone took 15 s, so that workers were replaced endlessly.
STARTUP_SECONDS = 60.0


class Worker(Process):
    """A worker process, which runs a DrainingServer."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._is_ready = False
        self._awaits_answer = False
        self._created_at = time.monotonic()

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            assert isinstance(self.config, ServingConfig)
            self._server = DrainingServer(self.config)
        return self._server

    def is_alive(self, timeout: float = 5) -> bool:
        """Whether the process runs and answers. While it starts, it need not answer, and this does not wait for it."""
        if self._is_ready or time.monotonic() - self._created_at > STARTUP_SECONDS:
            return super().is_alive(timeout)
        return self.process.is_alive() and self._check_startup()

    def _check_startup(self) -> bool:
        """False if the connection to the process is broken. One ping at a time: each gets an answer later."""
        try:
            if not self._awaits_answer:
                self.parent_conn.send(b"ping")
                self._awaits_answer = True
            if self.parent_conn.poll():
                self._is_ready = self.parent_conn.recv()
                self._awaits_answer = False
        except (OSError, EOFError):
            return False
        return True


# Multiprocess starts its workers by this name, in several places, and has no parameter for their class.
multiprocess.Process = Worker  # type: ignore[misc]


class Supervisor(Multiprocess):
    """In contrast to uvicorn's, it closes its sockets at shutdown, and passes signals on while the workers finish."""

    def run(self) -> None:
        self.init_processes()
        checked_at = time.monotonic()
        while not self.should_exit.wait(POLL_SECONDS):
            self.handle_signals()
            if time.monotonic() - checked_at > CHECK_SECONDS:
                self.keep_subprocess_alive()
                checked_at = time.monotonic()
        self.terminate_all()
        # The workers have the sockets too, as long as they listen. If this process kept them open, later connections
        # would wait in the backlog without an answer.
        for listening in self.sockets:
            listening.close()
        self._await_workers()

    def _await_workers(self) -> None:
        while alive := [worker for worker in self.processes if worker.process.is_alive()]:
            if signal.SIGINT in self.signal_queue:
                self.signal_queue.clear()
                for worker in alive:
                    assert worker.pid is not None
                    os.kill(worker.pid, signal.SIGINT)
            time.sleep(POLL_SECONDS)
        self.join_all()
