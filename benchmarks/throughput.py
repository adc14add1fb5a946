"""Requests per second. Each round measures every server once, so that a noisy minute affects all of them."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import psutil

from benchmarks.client import send_for_seconds
from benchmarks.load import Measurement, run_wrk
from benchmarks.queries import Query
from benchmarks.servers import ALL_LABELS, Server, cpu_seconds

# A server may still be working on requests of closed connections, which would slow down the next one.
QUIET_SECONDS, QUIET_TIMEOUT_SECONDS = 0.1, 10
# A measurement of fewer requests lasts longer, by this factor.
FEW_REQUESTS, FEW_REQUESTS_FACTOR = 50, 3


class Load(NamedTuple):
    """Parameters of a measurement. deadline: no round begins that would probably end after it (time.monotonic)."""

    connections: int = 16
    rounds: int = 5
    seconds: int = 4
    warm_seconds: float = 1.0
    deadline: float | None = None


class Subject(NamedTuple):
    """A query at a server that is measured. key: the name of its figures."""

    key: str
    server: Server
    query: Query


Step = Callable[[str], None]


def measure(subjects: Sequence[Subject], load: Load, postgres_pid: int, step: Step) -> dict[str, list[Measurement]]:
    """The measurements of each subject, by key: one for each round, of which at least one runs despite the deadline."""
    measurements: dict[str, list[Measurement]] = {subject.key: [] for subject in subjects}
    longest = 0.0
    for number in range(load.rounds):
        began = time.monotonic()
        if number and load.deadline and began + longest > load.deadline:
            break
        for subject in subjects:
            step(f"{subject.query.name}, round {number + 1}: {ALL_LABELS[subject.server.name]}")
            measurements[subject.key].append(_measure(subject, load, postgres_pid))
        longest = max(longest, time.monotonic() - began)
    return measurements


def _measure(subject: Subject, load: Load, postgres_pid: int) -> Measurement:
    server, query = subject.server, subject.query
    _wait_until_idle(server, postgres_pid)
    warm = send_for_seconds(server, query, connections=load.connections, seconds=load.warm_seconds)
    seconds = load.seconds if warm * load.seconds >= FEW_REQUESTS else load.seconds * FEW_REQUESTS_FACTOR
    server_before, postgres_before = server.cpu_seconds, _backend_cpu_seconds(postgres_pid)
    measurement = run_wrk(server, query, connections=load.connections, seconds=seconds)
    answered = max(1, measurement.requests_per_second * seconds)
    return replace(
        measurement,
        server_ms=(server.cpu_seconds - server_before) * 1000 / answered,
        postgres_ms=_cpu_seconds_since(postgres_before, postgres_pid) * 1000 / answered,
    )


def _wait_until_idle(server: Server, postgres_pid: int) -> None:
    end = time.monotonic() + QUIET_TIMEOUT_SECONDS
    while time.monotonic() < end:
        server_before, postgres_before = server.cpu_seconds, _backend_cpu_seconds(postgres_pid)
        time.sleep(QUIET_SECONDS)
        spent = server.cpu_seconds - server_before + _cpu_seconds_since(postgres_before, postgres_pid)
        if spent < QUIET_SECONDS / 5:
            return


def _backend_cpu_seconds(postgres_pid: int) -> dict[int, float]:
    """The processor time in seconds of each child process of PostgreSQL, by process id."""
    seconds = {}
    for process in psutil.Process(postgres_pid).children():
        with suppress(psutil.NoSuchProcess):
            seconds[process.pid] = cpu_seconds(process)
    return seconds


def _cpu_seconds_since(before: dict[int, float], postgres_pid: int) -> float:
    """The processor time in seconds since then. The time of processes that have ended is lost."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in _backend_cpu_seconds(postgres_pid).items())
