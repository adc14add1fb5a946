"""Background jobs: repeated, retried, stopped, and exclusive to one process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import URL, text
from structlog.testing import capture_logs

from db.engine import Database, driver_url
from server.jobs import runner as runner_module
from server.jobs.job import Job
from server.jobs.runner import JobRunner, pause
from server.monitoring.metrics import JobMetrics
from tests.application import serving
from tests.waiting import eventually, eventually_sync

NOWHERE = driver_url("postgresql://nobody@127.0.0.1:1/none")
PROCESS = Path(__file__).with_name("job_process.py")
PROJECT = Path(__file__).resolve().parents[3]
HOLDERS = """
SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND d.datname = current_database()
"""


class Counting:
    """A job's function that counts its runs, and fails while its flag is set."""

    def __init__(self, failures: int = 0) -> None:
        self.runs = 0
        self._failures = failures

    async def __call__(self) -> str:
        self.runs += 1
        if self.runs <= self._failures:
            raise ValueError("a secret")
        return f"run {self.runs}"


@asynccontextmanager
async def running(database: Database, *jobs: Job) -> AsyncIterator[tuple[JobRunner, CollectorRegistry]]:
    registry = CollectorRegistry()
    runner = JobRunner(jobs, database, JobMetrics(registry))
    runner.start()
    try:
        yield runner, registry
    finally:
        await runner.stop()


def value(registry: CollectorRegistry, metric: str, name: str) -> float | None:
    return registry.get_sample_value(f"candlegraph_job_{metric}", {"name": name})


async def test_a_job_is_repeated(database: Database) -> None:
    count = Counting()
    async with running(database, Job("a", 0.01, count)) as (runner, registry):
        await eventually(lambda: count.runs >= 3)
        [report] = runner.report()
        assert report["name"] == "a"
        assert report["running_here"]
        assert (report["failures"], report["consecutive_failures"]) == (0, 0)
        assert report["message"].startswith("run ")
        assert report["last_success_at"].timestamp() == pytest.approx(time.time(), abs=60)
        assert value(registry, "last_success_timestamp_seconds", "a") == pytest.approx(time.time(), abs=60)
        assert value(registry, "duration_seconds", "a") is not None
        assert value(registry, "failures_total", "a") == 0
        assert value(registry, "running", "a") == 1
    assert value(registry, "running", "a") == 0


async def test_a_failing_job_is_retried_and_stops_no_other(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "FIRST_RETRY_SECONDS", 0.01)
    failing, other = Counting(failures=3), Counting()
    with capture_logs() as logs:
        # Within the test, each runs again after failures only.
        async with running(database, Job("failing", 600, failing), Job("other", 600, other)) as (runner, registry):
            await eventually(lambda: runner.report()[0]["message"] == "run 4")
            reports = {report["name"]: report for report in runner.report()}
            assert value(registry, "failures_total", "failing") == 3
            assert value(registry, "failures_total", "other") == 0
    assert (reports["failing"]["failures"], reports["failing"]["consecutive_failures"]) == (3, 0)
    assert (reports["other"]["message"], other.runs) == ("run 1", 1)
    failures = [entry for entry in logs if entry["event"] == "job_failed"]
    assert [(entry["job"], entry["error"], entry["failures"]) for entry in failures] == [
        ("failing", "ValueError", number) for number in (1, 2, 3)
    ]
    assert "secret" not in repr(logs)


async def test_a_failure_is_reported_by_its_type(database: Database) -> None:
    async with running(database, Job("a", 600, Counting(failures=9))) as (runner, _):
        await eventually(lambda: runner.report()[0]["consecutive_failures"])
        [report] = runner.report()
    assert (report["message"], report["failures"], report["last_success_at"]) == ("ValueError", 1, None)


def test_pauses_grow_with_failures_up_to_the_interval() -> None:
    job = Job("a", 60, Counting())
    pauses = [pause(job, failures) for failures in (0, 1, 2, 3, 6, 7, 10_000)]
    for seconds, expected in zip(pauses, (60, 1, 2, 4, 32, 60, 60), strict=True):
        assert 0.8 * expected <= seconds <= expected
    assert pause(Job("a", 0.1, Counting()), 5) <= 0.1


async def test_a_run_that_raises_cancelled_error_is_a_failure(database: Database) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async with running(database, Job("a", 0.01, cancelled)) as (runner, _):
        await eventually(lambda: runner.report()[0]["failures"] >= 2)


async def test_jobs_stop_promptly(database: Database) -> None:
    """Also one whose cancellation is lost, as happens while SQLAlchemy closes a broken connection."""
    begun: set[str] = set()

    async def slow() -> None:
        begun.add("slow")
        await asyncio.sleep(600)

    async def stubborn() -> None:
        begun.add("stubborn")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            raise OSError from None

    async def stubborn_twice() -> None:
        begun.add("stubborn_twice")
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            await asyncio.sleep(600)

    jobs = [Job(run.__name__, 600, run) for run in (slow, stubborn, stubborn_twice)]
    with capture_logs() as logs:
        async with running(database, *jobs, Job("exclusive", 600, slow, exclusive=True)):
            await eventually(lambda: len(begun) == 3)
            started = time.monotonic()
        # The second cancellation comes after a second.
        assert time.monotonic() - started < 5
    assert logs == []


# Exclusive jobs.


async def test_an_exclusive_job_runs_in_one_process(database: Database, database_url: URL) -> None:
    counts = [Counting(), Counting()]
    others = [Counting(), Counting()]
    second_database = Database(database_url, pool_size=1)
    databases = [database, second_database]
    jobs = [
        (Job("exclusive", 0.02, count, exclusive=True), Job("other", 0.02, other))
        for count, other in zip(counts, others, strict=True)
    ]
    async with running(databases[0], *jobs[0]) as (first, _), running(databases[1], *jobs[1]) as (second, registry):
        await eventually(lambda: all(other.runs > 5 for other in others) and max(count.runs for count in counts) > 5)
        assert sorted(count.runs > 0 for count in counts) == [False, True]
        reports = [runner.report()[0] for runner in (first, second)]
        assert sorted(report["running_here"] for report in reports) == [False, True]
        [waiting] = [report for report in reports if not report["running_here"]]
        assert waiting["message"] == "It runs in another process."
        assert waiting["last_success_at"] is None
        assert value(registry, "running", "exclusive") == second.report()[0]["running_here"]
        holder = next(index for index, count in enumerate(counts) if count.runs)
        await (first, second)[holder].stop()
        await eventually(lambda: counts[1 - holder].runs)
    await second_database.close()


async def test_another_process_takes_over_when_the_connection_is_lost(database: Database) -> None:
    """The holder notices, and its run is cancelled."""
    runs: list[str] = []
    cancelled: list[str] = []

    def job(process: str) -> Job:
        async def run() -> None:
            runs.append(process)
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                cancelled.append(process)
                raise

        return Job("exclusive", 0.2, run, exclusive=True)

    async with running(database, job("first")) as (first, registry):
        await eventually(lambda: runs == ["first"])
        async with running(database, job("second")) as (second, _):
            await eventually(lambda: second.report()[0]["message"] == "It runs in another process.")
            [[pid]] = await database.fetch_rows(text(HOLDERS))
            await database.fetch_value(text(f"SELECT pg_terminate_backend({pid})"))
            await eventually(lambda: cancelled == ["first"])
            # Whichever is first; there is one.
            await eventually(lambda: len(runs) == 2)
            await eventually(lambda: first.report()[0]["message"] != second.report()[0]["message"])
            holding = [runner.report()[0]["running_here"] for runner in (first, second)]
            assert sorted(holding) == [False, True]
            assert value(registry, "failures_total", "exclusive") == 1


async def test_without_a_database_an_exclusive_job_fails_and_others_run() -> None:
    exclusive, other = Counting(), Counting()
    database = Database(NOWHERE)
    jobs = Job("exclusive", 0.05, exclusive, exclusive=True), Job("other", 0.05, other)
    async with running(database, *jobs) as (runner, _):
        await eventually(lambda: runner.report()[0]["failures"] > 1 and other.runs > 1)
        assert runner.report()[0]["message"] == "DatabaseUnavailable"
        assert not runner.report()[0]["running_here"]
    assert exclusive.runs == 0
    await database.close()


@contextmanager
def process(url: URL, output: Path, every: float) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes a line to the file for each run of its job."""
    arguments = [url.set(drivername="postgresql").render_as_string(hide_password=False), str(every)]
    with output.open("wb") as file:
        started = subprocess.Popen(
            [sys.executable, str(PROCESS), *arguments], stdout=file, env=os.environ | {"PYTHONPATH": str(PROJECT)}
        )
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def test_another_process_takes_over_from_one_that_is_killed(database_url: URL, tmp_path: Path) -> None:
    every = 0.5
    output = tmp_path / "first", tmp_path / "second"
    with process(database_url, output[0], every) as first:
        eventually_sync(output[0].read_bytes, 30)
        with process(database_url, output[1], every):
            runs = len(output[0].read_bytes())
            eventually_sync(lambda: len(output[0].read_bytes()) > 2 * runs, 30)
            assert not output[1].read_bytes()
            first.send_signal(signal.SIGKILL)
            # The interval, and time for two processes on a busy machine: 6 s were measured at a load of 8 per core.
            eventually_sync(output[1].read_bytes, every + 30)


# In the application.


async def test_health_and_metrics_show_jobs(database_url: URL, redis_url: str) -> None:
    # On a database of its own: on a shared one another server may run the exclusive job.
    async with serving(database_url, redis_url=redis_url) as client:

        async def jobs() -> dict[str, dict[str, Any]]:
            detailed = json.loads((await client.get("/health/detailed")).content)
            return {job["name"]: job for job in detailed["jobs"]}

        async def have_run() -> bool:
            return all(job["lastSuccessAt"] for job in (await jobs()).values())

        await eventually(have_run)
        found = await jobs()
        metrics = (await client.get("/metrics")).text
    assert found.keys() == {"settling", "recording"}
    assert found["settling"].keys() == {
        "name",
        "runningHere",
        "lastSuccessAt",
        "lastDurationSeconds",
        "failures",
        "consecutiveFailures",
        "message",
    }
    assert found["settling"]["message"].endswith(" predictions settled")
    assert found["recording"]["message"] == "0 requests recorded"
    for name in found:
        assert f'candlegraph_job_running{{name="{name}"}} 1.0' in metrics
        assert f'candlegraph_job_failures_total{{name="{name}"}} 0.0' in metrics


async def test_without_redis_there_is_nothing_to_record(demo_url: URL) -> None:
    async with serving(demo_url) as client:
        detailed = (await client.get("/health/detailed")).json()
    assert [job["name"] for job in detailed["jobs"]] == ["settling"]
