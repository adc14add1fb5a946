"""Runs the background jobs of one process, each in a task of its own."""

import asyncio
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from random import uniform
from typing import Any

import structlog

from db.advisory_lock import CHECK_SECONDS, AdvisoryLocks
from db.engine import Database
from db.errors import DatabaseError
from server.jobs.job import Job, JobStatus
from server.monitoring.metrics import JobMetrics

# The first retry comes this long after a failure, each further one after twice as long, up to the job's interval.
FIRST_RETRY_SECONDS = 1.0
log = structlog.get_logger("candlegraph.jobs")


class JobRunner:
    """A job that fails is logged and retried; the other jobs go on.

    An exclusive job runs where its advisory lock is held. The holder keeps the lock until a run fails or its connection
    is lost; the other processes try to acquire it once in each interval.
    """

    def __init__(self, jobs: Iterable[Job], database: Database, metrics: JobMetrics) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._statuses = {name: JobStatus() for name in self._jobs}
        self._locks = AdvisoryLocks(database)
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        for job in self._jobs.values():
            metrics.add(job.name, lambda job=job: self.is_running(job))  # type: ignore[misc]

    def is_running(self, job: Job) -> bool:
        """Whether this process is the one that runs the job. An exclusive job runs in one process of all servers."""
        return bool(self._tasks) and (not job.exclusive or self._locks.holds(job.name))

    def report(self) -> list[dict[str, Any]]:
        """The status of each job, for /health/detailed."""
        return [
            {"name": name, "running_here": self.is_running(job), **asdict(self._statuses[name])}
            for name, job in self._jobs.items()
        ]

    def start(self) -> None:
        self._is_stopping = False
        self._tasks = [asyncio.create_task(self._repeat(job)) for job in self._jobs.values()]
        if any(job.exclusive for job in self._jobs.values()):
            self._tasks.append(asyncio.create_task(self._check_locks()))

    async def stop(self) -> None:
        """Cancel all jobs, wait until they have ended, and release the locks."""
        self._is_stopping = True
        await end(self._tasks)
        self._tasks = []
        await self._locks.close()

    async def _repeat(self, job: Job) -> None:
        status = self._statuses[job.name]
        while not self._is_stopping:
            started = time.perf_counter()
            try:
                await self._attempt(job, status)
            except (Exception, asyncio.CancelledError) as error:
                # A run may raise CancelledError although its task is not cancelled, and another error although it is.
                task = asyncio.current_task()
                if self._is_stopping or (task is not None and task.cancelling()):
                    return
                await self._fail(job, status, error, time.perf_counter() - started)
            await asyncio.sleep(pause(job, status.consecutive_failures))

    async def _attempt(self, job: Job, status: JobStatus) -> None:
        """Run the job, unless it is exclusive and another process runs it."""
        if job.exclusive and not await self._locks.acquire(job.name):
            status.message = "It runs in another process."
            status.consecutive_failures = 0
            return
        started = time.perf_counter()
        if job.exclusive:
            async with self._locks.while_held(job.name):
                message = await job.run()
        else:
            message = await job.run()
        seconds = time.perf_counter() - started
        status.message, status.consecutive_failures = message, 0
        status.last_success_at, status.last_duration_seconds = datetime.now(UTC), round(seconds, 3)
        self._metrics.succeeded(job.name, seconds)

    async def _fail(self, job: Job, status: JobStatus, error: BaseException, seconds: float) -> None:
        status.failures += 1
        status.consecutive_failures += 1
        # The message of an error may hold a secret, such as a password in a URL.
        status.message, status.last_duration_seconds = type(error).__name__, round(seconds, 3)
        self._metrics.failed(job.name, seconds)
        details = {} if isinstance(error, DatabaseError) else {"frames": _frames(error)}
        log.warning(
            "job_failed", job=job.name, error=type(error).__name__, failures=status.consecutive_failures, **details
        )
        # The cause may be in this process alone.
        with suppress(DatabaseError):
            await self._locks.release(job.name)

    async def _check_locks(self) -> None:
        while not self._is_stopping:
            with suppress(DatabaseError):
                await self._locks.check()
            await asyncio.sleep(CHECK_SECONDS)


def _frames(error: BaseException) -> list[str]:
    """Where an unexpected error was raised: its traceback, without the message."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def pause(job: Job, failures: int) -> float:
    """Seconds until the next run, of which up to a fifth is left out at random, so that servers do not act together.

    Never more than the job's interval: within it, another process acquires the lock of one that died.
    """
    # Beyond 2**30 every interval is exceeded, and a float overflows some time after.
    seconds = FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 30) if failures else job.every
    return min(seconds, job.every) * uniform(0.8, 1)  # noqa: S311


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended.

    The cancellation is repeated each second: one that arrives while SQLAlchemy closes a broken connection is lost.
    """
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)
