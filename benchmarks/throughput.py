"""Requests per second: every server in turn, then all of them again, so that a noisy minute hits them alike."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import psutil

from benchmarks.client import send_for
from benchmarks.load import Measure, press
from benchmarks.queries import Query
from benchmarks.servers import ALL_LABELS, Server, cpu_seconds

# A server that is still busy with what nobody waits for any more would slow the next one down.
QUIET_SECONDS, QUIET_PATIENCE_SECONDS = 0.1, 10
# Where a measure would hold so few requests, it lasts longer.
FEW_REQUESTS, LONGER_IF_FEW = 50, 3


class Load(NamedTuple):
    """How to measure. deadline: the time (of time.monotonic) after which no other round begins."""

    connections: int = 16
    rounds: int = 5
    seconds: int = 4
    warm_seconds: float = 1.0
    deadline: float | None = None


class Subject(NamedTuple):
    """What is measured: a query at a server. key: what its figures are called."""

    key: str
    server: Server
    query: Query


Step = Callable[[str], None]


def measure(subjects: Sequence[Subject], load: Load, postgres_pid: int, step: Step) -> dict[str, list[Measure]]:
    """The measures of each subject, a round each: at least one, and as many as were wanted before the deadline."""
    measures: dict[str, list[Measure]] = {subject.key: [] for subject in subjects}
    longest = 0.0
    for number in range(load.rounds):
        began = time.monotonic()
        if number and load.deadline and began + longest > load.deadline:
            break
        for subject in subjects:
            step(f"{subject.query.name}, round {number + 1}: {ALL_LABELS[subject.server.name]}")
            measures[subject.key].append(_measure(subject, load, postgres_pid))
        longest = max(longest, time.monotonic() - began)
    return measures


def _measure(subject: Subject, load: Load, postgres_pid: int) -> Measure:
    server, query = subject.server, subject.query
    _await_quiet(server, postgres_pid)
    warm = send_for(server, query, connections=load.connections, seconds=load.warm_seconds)
    seconds = load.seconds if warm * load.seconds >= FEW_REQUESTS else load.seconds * LONGER_IF_FEW
    server_before, postgres_before = server.cpu_seconds, _backends(postgres_pid)
    measure = press(server, query, connections=load.connections, seconds=seconds)
    answered = max(1, measure.requests_per_second * seconds)
    return replace(
        measure,
        server_ms=(server.cpu_seconds - server_before) * 1000 / answered,
        postgres_ms=_spent_since(postgres_before, postgres_pid) * 1000 / answered,
    )


def _await_quiet(server: Server, postgres_pid: int) -> None:
    end = time.monotonic() + QUIET_PATIENCE_SECONDS
    while time.monotonic() < end:
        server_before, postgres_before = server.cpu_seconds, _backends(postgres_pid)
        time.sleep(QUIET_SECONDS)
        spent = server.cpu_seconds - server_before + _spent_since(postgres_before, postgres_pid)
        if spent < QUIET_SECONDS / 5:
            return


def _backends(postgres_pid: int) -> dict[int, float]:
    """The processor time of each process of PostgreSQL."""
    spent = {}
    for process in psutil.Process(postgres_pid).children():
        with suppress(psutil.NoSuchProcess):
            spent[process.pid] = cpu_seconds(process)
    return spent


def _spent_since(before: dict[int, float], postgres_pid: int) -> float:
    """A process that has ended takes what it spent with it."""
    return sum(seconds - before.get(pid, 0) for pid, seconds in _backends(postgres_pid).items())
