"""Several processes that serve one socket, and the one that starts, watches and stops them."""

import os
import signal
import time

import uvicorn
from uvicorn.supervisors import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from server.process.stopping import DrainingServer, ServingConfig

LOOK_SECONDS = 0.05
# As often it looks whether the workers are alive.
WATCH_SECONDS = 0.5


class Worker(Process):
    """A process that serves until it is told to stop."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            assert isinstance(self.config, ServingConfig)
            self._server = DrainingServer(self.config)
        return self._server


# uvicorn starts its workers by this name, in several places, and offers no other way to say what they are.
multiprocess.Process = Worker  # type: ignore[misc]


class Supervisor(Multiprocess):
    """Unlike uvicorn's, it lets go of the socket, and passes on what comes while the workers finish."""

    def run(self) -> None:
        self.init_processes()
        watched_at = time.monotonic()
        while not self.should_exit.wait(LOOK_SECONDS):
            self.handle_signals()
            if time.monotonic() - watched_at > WATCH_SECONDS:
                self.keep_subprocess_alive()
                watched_at = time.monotonic()
        self.terminate_all()
        # The workers have it for as long as they listen; while we held it, whoever connects later would wait in vain.
        for one in self.sockets:
            one.close()
        self._await_workers()

    def _await_workers(self) -> None:
        while alive := [worker for worker in self.processes if worker.process.is_alive()]:
            if signal.SIGINT in self.signal_queue:
                self.signal_queue.clear()
                for worker in alive:
                    assert worker.pid is not None
                    os.kill(worker.pid, signal.SIGINT)
            time.sleep(LOOK_SECONDS)
        self.join_all()
