"""Overload: throughput above the capacity of a server, and latency of rejected requests.

The peak is the number of connections with the best throughput, each sending the next request when the last is answered.
Four times as many connections are the first overload. The second is a flood: clients that pause between requests, so
many that they send four times the peak, whether requests are answered or rejected.
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
OVERLOAD_FACTOR = 4
PEAK_CANDIDATES = (4, 8, 16, 32)
FLOOD_PAUSE_SECONDS = 0.1
# REQUEST_TIMEOUT_SECONDS of the server. Requests wait in the queue for at most half of it, so that a short flood is
# already an overload.
TIMEOUT_SECONDS = 2.0
MAX_CLIENTS = 2_000
# During the flood, so many threads send single requests and measure their latency. They obey Retry-After: the server
# delays clients that return sooner, as all clients of the flood do.
PROBES, PROBE_PAUSE_SECONDS = 16, 0.05


class Load(NamedTuple):
    """Requests per second that were answered and rejected, and the number of failures."""

    answered: float
    rejected: float
    failures: int


@dataclass
class ProbeLatencies:
    """Latencies in milliseconds of answers and of rejections; ascending after the block of `_probing`."""

    answers: list[float] = field(default_factory=list)
    rejections: list[float] = field(default_factory=list)


class Overload(NamedTuple):
    """connections: number at the peak. quadruple: with four times as many. flood: with four times as many requests."""

    connections: int
    peak: Load
    quadruple: Load
    flood: Load
    probes: ProbeLatencies

    @property
    def ratios(self) -> tuple[float, float]:
        """Answers per second as a share of the peak: with quadruple connections, and in the flood."""
        return self.quadruple.answered / self.peak.answered, self.flood.answered / self.peak.answered


def measure(server: Server, query: Query, *, seconds: int, connections: Sequence[int] = PEAK_CANDIDATES) -> Overload:
    """Measure the peak and both overloads. Raises RuntimeError if wrk fails."""
    _run_wrk(server, query, connections=connections[0], seconds=1)
    loads = {number: _run_wrk(server, query, connections=number, seconds=seconds) for number in connections}
    best = max(loads, key=lambda number: loads[number].answered)
    quadruple = _run_wrk(server, query, connections=OVERLOAD_FACTOR * best, seconds=seconds)
    # Measured again, close in time to the loads that are compared with it.
    peak = _run_wrk(server, query, connections=best, seconds=seconds)
    # A quarter of the requests is answered after the longest wait, the others are rejected at once.
    mean_interval = FLOOD_PAUSE_SECONDS + TIMEOUT_SECONDS / 2 / OVERLOAD_FACTOR
    clients = min(max(OVERLOAD_FACTOR * best, round(OVERLOAD_FACTOR * peak.answered * mean_interval)), MAX_CLIENTS)
    with _probing(server, query) as probes:
        flood = _run_wrk(server, query, connections=clients, seconds=2 * seconds, pause_seconds=FLOOD_PAUSE_SECONDS)
    return Overload(best, peak, quadruple, flood, probes)


def _run_wrk(server: Server, query: Query, *, connections: int, seconds: int, pause_seconds: float = 0) -> Load:
    body = FOLDER / f"flood-{query.name}.json"
    body.write_bytes(_body(server, query))
    arguments = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s", "--timeout=30s"]
    arguments += [f"--script={SCRIPT}", server.url(query), str(body), str(round(pause_seconds * 1000))]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    figures = orjson.loads(done.stdout.strip().splitlines()[-1])
    seconds_taken = figures["microseconds"] / 1e6
    answered = (figures["responses"] - figures["error_responses"]) / seconds_taken
    return Load(answered, figures["error_responses"] / seconds_taken, figures["failures"])


def _body(server: Server, query: Query) -> bytes:
    return orjson.dumps(query.bodies(server.name)[0])


@contextmanager
def _probing(server: Server, query: Query) -> Iterator[ProbeLatencies]:
    """Measure latencies in PROBES threads until the end of the block."""
    probes, stop = ProbeLatencies(), threading.Event()
    threads = [threading.Thread(target=_probe, args=(server, query, probes, stop)) for _ in range(PROBES)]
    for thread in threads:
        thread.start()
    try:
        yield probes
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        probes.answers.sort()
        probes.rejections.sort()


def _probe(server: Server, query: Query, probes: ProbeLatencies, stop: threading.Event) -> None:
    body, headers = _body(server, query), {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    pause = PROBE_PAUSE_SECONDS
    while not stop.wait(pause):
        started = time.perf_counter()
        with suppress(http.client.HTTPException, OSError):
            connection.request("POST", "/graphql", body, headers)
            response = connection.getresponse()
            response.read()
            latencies = probes.answers if response.status == 200 else probes.rejections
            latencies.append((time.perf_counter() - started) * 1000)
            pause = float(response.headers.get("Retry-After", PROBE_PAUSE_SECONDS))
            continue
        connection.close()
    connection.close()


def format_percentile(milliseconds: Sequence[float], share: float) -> str:
    """A percentile with one decimal place, or "-" without values."""
    return f"{percentile(milliseconds, share):,.1f}" if milliseconds else "-"
