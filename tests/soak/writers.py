"""Writers, which use SQL as any client of the database may."""

import asyncio
import random
import time
from typing import Any, NamedTuple

import asyncpg

from tests.soak.findings import Findings
from tests.soak.readers import Reader
from tests.soak.versions import Known
from tests.soak.world import World, Write, writes

PAUSE_SECONDS = 0.02, 0.25
# Shares of transactions: with two writes, open for a while, rolled back, followed by another of the same rows.
DOUBLE, HELD, ROLLED_BACK, FOLLOWED = 0.2, 0.25, 0.1, 0.4
HELD_SECONDS = 0.05, 0.3
FOLLOWED_AFTER_SECONDS = 0.0, 0.004
# Share of the other writes that are watched until all servers show them.
WATCHED = 0.5
# For so long out of each period, no writer writes: a stale answer then stays stale until readers can be sure of it.
PERIOD_SECONDS, SILENT_SECONDS = 4.5, 1.5


class Written(NamedTuple):
    write: Write
    version: int
    committed_at: float


class Writer:
    def __init__(self, dsn: str, world: World, known: Known, reader: Reader, findings: Findings) -> None:
        """reader: checks whether a write is shown."""
        self._dsn = dsn
        self._kinds = writes(world)
        self._known = known
        self._reader = reader
        self._findings = findings

    async def write(self, ends_at: float) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            async with asyncio.TaskGroup() as watching:
                while time.monotonic() < ends_at:
                    written = await self._transact(connection, self._chosen())
                    followed = random.random() < FOLLOWED
                    for write, version, at in written:
                        if followed or random.random() < WATCHED:
                            watching.create_task(self._reader.watch(write.shown_by, write.subject, version, at))
                    if followed:
                        await self._follow(connection, [write for write, _, _ in written])
                    await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                    await _silence()
        finally:
            await connection.close()

    async def _transact(self, connection: Any, writes: list[Write]) -> list[Written]:
        """The writes that were committed."""
        transaction = connection.transaction()
        await transaction.start()
        versions = [await connection.fetchval(write.statement, *write.arguments) for write in writes]
        if random.random() < HELD:
            await asyncio.sleep(random.uniform(*HELD_SECONDS))
        if random.random() < ROLLED_BACK:
            await transaction.rollback()
            self._findings.rollbacks += 1
            return []
        await transaction.commit()
        return self._committed(writes, versions)

    async def _follow(self, connection: Any, writes: list[Write]) -> None:
        """Write again while servers compute the versions before. Watching would make them compute those once more."""
        await asyncio.sleep(random.uniform(*FOLLOWED_AFTER_SECONDS))
        for write in writes:
            version = await connection.fetchval(write.statement, *write.arguments)
            self._committed([write], [version])

    def _committed(self, writes: list[Write], versions: list[int]) -> list[Written]:
        at = time.monotonic()
        self._findings.commits += 1
        for write, version in zip(writes, versions, strict=True):
            self._known.note(write.subject, version, at)
        return [Written(write, version, at) for write, version in zip(writes, versions, strict=True)]

    def _chosen(self) -> list[Write]:
        """In the order in which all writers lock rows, to avoid deadlocks."""
        order = [write.subject for _, kind in self._kinds for write in kind]
        weights = [weight for weight, _ in self._kinds]
        kinds = random.choices([kind for _, kind in self._kinds], weights, k=1 + (random.random() < DOUBLE))
        chosen = {write.subject: write for write in map(random.choice, kinds)}
        return [chosen[subject] for subject in sorted(chosen, key=order.index)]


async def _silence() -> None:
    """Pause at the same time as all other writers."""
    left = PERIOD_SECONDS - time.monotonic() % PERIOD_SECONDS
    if left < SILENT_SECONDS:
        await asyncio.sleep(left)
