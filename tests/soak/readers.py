"""Readers: each answer is checked against every version that was committed or seen when it was requested."""

import asyncio
import random
import time

import orjson

from graph.compiler.global_ids import read_global_id
from tests.soak.client import CONNECTION_ERRORS, Client, Response
from tests.soak.faults import DEAF, Faults
from tests.soak.findings import Answer, Findings
from tests.soak.queries import Query
from tests.soak.servers import Server
from tests.soak.versions import Known, Subject, versions

# A request this long after a commit must see it, however busy the machine is.
BOUND_SECONDS = 1.0
# A server notices within this time that its connection was terminated.
DEAF_WITHIN_SECONDS = 0.25
PAUSE_SECONDS = 0.0, 0.025
SHARE_OF_POSTS = 0.5
POLL_SECONDS = 0.004
# The nth query is sent 1 / n ** SKEW times as often as the first.
SKEW = 1.1


class Reader:
    """Queries the servers. Every server must show what one of them has shown."""

    def __init__(self, client: Client, servers: list[Server], known: Known, findings: Findings, faults: Faults) -> None:
        self._client = client
        self._servers = servers
        self._known = known
        self._findings = findings
        self._faults = faults

    async def read(self, queries: list[Query], ends_at: float) -> None:
        weights = [1 / place**SKEW for place in range(1, len(queries) + 1)]
        while time.monotonic() < ends_at:
            await self.ask(random.choice(self._servers), *random.choices(queries, weights))
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))

    async def watch(self, query: Query, subject: Subject, version: int, committed_at: float) -> None:
        """Query all servers until each shows this version."""
        await asyncio.gather(*(self._watch(server, query, subject, version, committed_at) for server in self._servers))

    async def _watch(self, server: Server, query: Query, subject: Subject, version: int, committed_at: float) -> None:
        sent = committed_at
        while sent - committed_at < 2 * BOUND_SECONDS:
            sent = time.monotonic()
            if (await self.ask(server, query)).get(subject, 0) >= version:
                break
            await asyncio.sleep(POLL_SECONDS)
        self._findings.shown_after.append(sent - committed_at)

    async def ask(self, server: Server, query: Query) -> dict[Subject, int]:
        """The versions in the answer; empty if it failed."""
        fault, sent = self._faults.now, time.monotonic()
        try:
            response = await self._send(server, query)
        except CONNECTION_ERRORS as error:
            self._violated(server, query, f"{type(error).__name__} {error}")
            return {}
        received = time.monotonic()
        answer = orjson.loads(response.body) if response.status == 200 else {}
        if "data" not in answer or "errors" in answer:
            self._violated(server, query, f"HTTP {response.status}: {response.body[:300].decode()}")
            return {}
        source = response.header("x-cache").partition(";")[0]
        found = dict(versions(answer["data"]))
        where = f"{source}, age {response.header('age')}"
        behind = max(
            [self._behind(server, query, subject, found[subject], sent, where) for subject in found], default=0
        )
        for subject, version in found.items():
            self._known.note(subject, version, received)
        if source != "bypass" and self._is_deaf(fault, sent):
            self._violated(server, query, f"{where}, while changes cannot be received")
        self._findings.versions_checked += len(found)
        self._findings.answers.append(Answer(source, received - sent, fault or self._faults.now, behind))
        return found

    async def _send(self, server: Server, query: Query) -> Response:
        if random.random() < SHARE_OF_POSTS:
            return await self._client.post(server.port, query.body)
        return await self._client.get(server.port, query.url)

    def _is_deaf(self, fault: str, sent: float) -> bool:
        """Whether no server received changes, from when a request was sent until now."""
        return fault == DEAF == self._faults.now and sent - self._faults.since > DEAF_WITHIN_SECONDS

    def _behind(self, server: Server, query: Query, subject: Subject, version: int, sent: float, where: str) -> float:
        """For how many seconds this version had been stale when it was requested."""
        behind = self._known.behind(subject, version, sent)
        if behind > BOUND_SECONDS:
            due = self._known.newest(subject, sent - BOUND_SECONDS)
            row, what = subject
            row = "{}:{}".format(*read_global_id(row))
            what = f"version {version} of {row} {what}, {behind:.2f} s after the next; {due} was due"
            self._violated(server, query, f"{what} ({where})")
        return behind

    def _violated(self, server: Server, query: Query, what: str) -> None:
        request = " ".join([query.name, *map(str, query.variables.values())])
        self._findings.violate(f"{request} from :{server.port}: {what}; fault: {self._faults.now or 'none'}")
