"""More load than can be borne: what is still answered, and how soon the rest is refused.

The peak is the number of connections with the best throughput, each sending the next request when the last is answered.
Four times as many is the first overload. The second is a flood: clients that pause between requests, so many that they
would send four times the peak, whether they are answered or refused.
"""

import http.client
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.database import FOLDER
from benchmarks.figures import percentile
from benchmarks.queries import Query
from benchmarks.servers import Server

SCRIPT = Path(__file__).with_name("wrk") / "flood.lua"
TIMES = 4
CONNECTIONS = (4, 8, 16, 32)
FLOOD_PAUSE_SECONDS = 0.1
# Requests may take so long, and wait for half of that: a short flood is then more than can be borne.
TIMEOUT_SECONDS = 2.0
MOST_CLIENTS = 2_000
# Beside the flood, so many send a request now and then, and take the time. They come back when they are told to:
# whoever does so sooner is kept waiting, as all of the flood are.
WITNESSES, WITNESS_PAUSE_SECONDS = 16, 0.05


class Load(NamedTuple):
    """What was answered and refused in a second."""

    answered: float
    refused: float
    failures: int


@dataclass
class Witnessed:
    """In milliseconds, ascending at the end: of answers, and of refusals."""

    answers: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)


class Overload(NamedTuple):
    """connections: of the peak. quadruple: with four times as many. flood: four times as many requests."""

    connections: int
    peak: Load
    quadruple: Load
    flood: Load
    witnessed: Witnessed

    @property
    def ratios(self) -> tuple[float, float]:
        """What is answered of what was at the peak."""
        return self.quadruple.answered / self.peak.answered, self.flood.answered / self.peak.answered


def measure(server: Server, query: Query, *, seconds: int, connections: Sequence[int] = CONNECTIONS) -> Overload:
    """Raises RuntimeError where requests fail, other than by a refusal."""
    _press(server, query, connections=connections[0], seconds=1)
    loads = {number: _press(server, query, connections=number, seconds=seconds) for number in connections}
    best = max(loads, key=lambda number: loads[number].answered)
    quadruple = _press(server, query, connections=TIMES * best, seconds=seconds)
    # Measured again, beside what it is compared with.
    peak = _press(server, query, connections=best, seconds=seconds)
    # A quarter of them is answered after the longest wait, the others are refused at once.
    apart = FLOOD_PAUSE_SECONDS + TIMEOUT_SECONDS / 2 / TIMES
    clients = min(max(TIMES * best, round(TIMES * peak.answered * apart)), MOST_CLIENTS)
    with _witnesses(server, query) as witnessed:
        flood = _press(server, query, connections=clients, seconds=2 * seconds, pause_seconds=FLOOD_PAUSE_SECONDS)
    return Overload(best, peak, quadruple, flood, witnessed)


def _press(server: Server, query: Query, *, connections: int, seconds: int, pause_seconds: float = 0) -> Load:
    body = FOLDER / f"flood-{query.name}.json"
    body.write_bytes(_body(server, query))
    arguments = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=30s"]
    arguments += [f"--script={SCRIPT}", server.url(query), str(body), str(round(pause_seconds * 1000))]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    figures = orjson.loads(done.stdout.strip().splitlines()[-1])
    took = figures["microseconds"] / 1e6
    answered = (figures["answers"] - figures["refusals"]) / took
    return Load(answered, figures["refusals"] / took, figures["failures"])


def _body(server: Server, query: Query) -> bytes:
    return orjson.dumps(query.bodies(server.name)[0])


@contextmanager
def _witnesses(server: Server, query: Query) -> Iterator[Witnessed]:
    """Until the end of the block, some ask and take the time."""
    seen, stop = Witnessed(), threading.Event()
    threads = [threading.Thread(target=_witness, args=(server, query, seen, stop)) for _ in range(WITNESSES)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        seen.answers.sort()
        seen.refusals.sort()


def _witness(server: Server, query: Query, seen: Witnessed, stop: threading.Event) -> None:
    body, headers = _body(server, query), {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    pause = WITNESS_PAUSE_SECONDS
    while not stop.wait(pause):
        started = time.perf_counter()
        with suppress(http.client.HTTPException, OSError):
            connection.request("POST", "/graphql", body, headers)
            response = connection.getresponse()
            response.read()
            kept = seen.answers if response.status == 200 else seen.refusals
            kept.append((time.perf_counter() - started) * 1000)
            pause = float(response.headers.get("Retry-After", WITNESS_PAUSE_SECONDS))
            continue
        connection.close()
    connection.close()


def p(milliseconds: Sequence[float], share: float) -> str:
    """A percentile, to be shown."""
    return f"{percentile(milliseconds, share):,.1f}" if milliseconds else "-"
