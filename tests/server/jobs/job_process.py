"""A process that runs one exclusive job, and prints a line for each run: job_process.py URL EVERY_SECONDS."""

import asyncio
import os
import sys

from prometheus_client import CollectorRegistry

from db.engine import Database, driver_url
from server.jobs.job import Job
from server.jobs.runner import JobRunner
from server.monitoring.metrics import JobMetrics


async def run() -> None:
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()


async def main(url: str, every: float) -> None:
    job = Job("exclusive", every, run, exclusive=True)
    JobRunner([job], Database(driver_url(url), pool_size=1), JobMetrics(CollectorRegistry())).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
