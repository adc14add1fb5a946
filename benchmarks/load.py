"""Load from wrk: each connection sends its next request when the last is answered."""

import shutil
import subprocess
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson

from benchmarks.database import FOLDER
from benchmarks.queries import Query
from benchmarks.servers import ALL_LABELS, Server

SCRIPT = Path(__file__).with_name("wrk") / "post.lua"
REQUEST_TIMEOUT_SECONDS = 60
# Allowed relative difference of the mean length of answers under load from that of one answer. Variables change the
# number of rows.
TOLERANCE, TOLERANCE_WITH_VARIABLES = 0.03, 0.25
# wrk also counts the bytes of answers that the end of the run truncates, which distorts the mean of fewer answers.
MIN_ANSWERS_FOR_MEAN = 500
# First number of the requests of each measurement: far enough apart that no document is sent twice.
_numbers = count(100_000_000, 1_000_000)


@dataclass(frozen=True)
class Measurement:
    """Throughput of one server in one round, and the processor time of a request in milliseconds."""

    requests_per_second: float
    server_ms: float = 0
    postgres_ms: float = 0


def require_wrk() -> None:
    """Raises RuntimeError if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk generates the load, and it is not installed. On Debian and Ubuntu: apt-get install wrk")


def wrk_version() -> str:
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((done.stdout + done.stderr).split("\n")[0].split()[:2])


def run_wrk(server: Server, query: Query, *, connections: int, seconds: int) -> Measurement:
    """The throughput of a query.

    Raises RuntimeError if requests fail, are answered with an error status, or if answers have an unexpected length:
    a GraphQL error is an answer too.
    """
    expected = server.answer_bytes(query)
    arguments = [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={seconds}s",
        f"--timeout={REQUEST_TIMEOUT_SECONDS}s",
        f"--script={SCRIPT}",
        server.url(query),
        str(_write_bodies(server, query)),
        str(next(_numbers)),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    figures = orjson.loads(done.stdout.strip().splitlines()[-1])
    label = f"{ALL_LABELS[server.name]}, {query.name}"
    if figures["failures"] or figures["error_responses"]:
        counts = f"{figures['failures']} requests failed, {figures['error_responses']} had an error response"
        raise RuntimeError(f"{label}: {counts}.")
    answered = figures["requests"]
    mean = figures["bytes"] / max(1, answered)
    tolerance = TOLERANCE_WITH_VARIABLES if query.passes_variables else TOLERANCE
    if answered and (
        mean < expected * (1 - tolerance) or (answered > MIN_ANSWERS_FOR_MEAN and mean > expected * (1 + tolerance))
    ):
        raise RuntimeError(f"{label}: under load, answers have {mean:,.0f} bytes instead of {expected:,}.")
    return Measurement(answered / figures["microseconds"] * 1e6)


def _write_bodies(server: Server, query: Query) -> Path:
    file = FOLDER / f"{server.name}-{query.name}.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(body) for body in query.bodies(server.name)))
    return file
