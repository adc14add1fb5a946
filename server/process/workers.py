"""Worker processes that serve the same sockets, and the supervisor that starts, monitors and stops them."""

import os
import signal
import time

import uvicorn
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from server.process.stopping import DrainingServer, ServingConfig

POLL_SECONDS = 0.05
# Interval of the check that the workers are alive.
CHECK_SECONDS = 0.5


class Worker(Process):
    """A worker process, which runs a DrainingServer."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            assert isinstance(self.config, ServingConfig)
            self._server = DrainingServer(self.config)
        return self._server


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
