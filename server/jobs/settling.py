"""The job that settles predictions: one process of all servers fills in the prices of those that are due."""

import structlog

from db.engine import Database
from db.settle import settle
from server.jobs.job import Job

EVERY_SECONDS = 60.0
log = structlog.get_logger("candlegraph.jobs")


def settling(database: Database) -> Job:
    async def run() -> str:
        async with database.transaction() as connection:
            settled = await settle(connection)
        if settled:
            log.info("predictions_settled", count=settled)
        return f"{settled:,} predictions settled"

    return Job("settling", EVERY_SECONDS, run, exclusive=True)
