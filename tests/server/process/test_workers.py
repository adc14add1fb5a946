"""Worker processes are given time to start, and checked from then on."""

from collections.abc import Iterator

import pytest

from server.process import workers
from server.process.stopping import ServingConfig
from server.process.workers import Worker


class Running:
    """A process that runs, and answers only when the test does."""

    def is_alive(self) -> bool:
        return True


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(ServingConfig("nothing:application", log_config=None, shutdown_delay_seconds=0), [])
    assert not worker.is_alive(0.01)
    worker.process = Running()
    yield worker
    for pipe in (worker.parent_conn, worker.child_conn):
        pipe.close()


def answer(worker: Worker, *, has_started: bool) -> None:
    assert worker.child_conn.poll()
    assert worker.child_conn.recv() == b"ping"
    worker.child_conn.send(has_started)


def test_a_worker_that_starts_need_not_answer(worker: Worker) -> None:
    assert worker.is_alive(0.01)
    assert worker.is_alive(0.01)
    answer(worker, has_started=False)
    # One ping was sent.
    assert not worker.child_conn.poll()
    assert worker.is_alive(0.01)
    assert worker.is_alive(0.01)
    answer(worker, has_started=True)
    assert worker.is_alive(0.01)
    # It has started, and answers no more.
    assert not worker.is_alive(0.01)


def test_a_worker_that_does_not_start_is_replaced(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker.is_alive(0.01)
    monkeypatch.setattr(workers, "STARTUP_SECONDS", 0)
    assert not worker.is_alive(0.01)


def test_a_worker_whose_connection_is_closed_is_replaced(worker: Worker) -> None:
    worker.child_conn.close()
    assert not worker.is_alive(0.01)
