"""Load from wrk: as many requests as the server answers, over a fixed number of connections."""

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
# How far the mean length of the answers may be from that of one. Variables change how many rows there are.
TOLERANCE, TOLERANCE_OF_VARIANTS = 0.03, 0.25
# wrk counts the bytes of answers that the end cut off, which matters where there are few.
MANY = 500
# Numbers of requests begin here, and each measure has so many of its own: no document comes twice.
_numbers = count(100_000_000, 1_000_000)


@dataclass(frozen=True)
class Measure:
    """What one server did in one stretch of load."""

    requests_per_second: float
    # Processor time that the server and PostgreSQL spent on a request.
    server_ms: float = 0
    postgres_ms: float = 0


def require_wrk() -> None:
    if shutil.which("wrk") is None:
        raise RuntimeError("The load comes from wrk, which is not installed. On Debian and Ubuntu: apt-get install wrk")


def wrk_version() -> str:
    shown = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((shown.stdout + shown.stderr).split("\n")[0].split()[:2])


def press(server: Server, query: Query, *, connections: int, seconds: int) -> Measure:
    """Raises RuntimeError if answers fail, are refused or have another length: errors are answers too."""
    expected = server.answer_bytes(query)
    arguments = [
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={seconds}s",
        f"--timeout={REQUEST_TIMEOUT_SECONDS}s",
        f"--script={SCRIPT}",
        server.url(query),
        str(_bodies(server, query)),
        str(next(_numbers)),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr or done.stdout}")
    figures = orjson.loads(done.stdout.strip().splitlines()[-1])
    label = f"{ALL_LABELS[server.name]}, {query.name}"
    if figures["failures"] or figures["refusals"]:
        raise RuntimeError(f"{label}: {figures['failures']} requests failed, {figures['refusals']} were refused.")
    answered = figures["requests"]
    mean = figures["bytes"] / max(1, answered)
    tolerance = TOLERANCE_OF_VARIANTS if query.passes_variables else TOLERANCE
    if answered and (mean < expected * (1 - tolerance) or (answered > MANY and mean > expected * (1 + tolerance))):
        raise RuntimeError(f"{label}: under load, answers have {mean:,.0f} bytes instead of {expected:,}.")
    return Measure(answered / figures["microseconds"] * 1e6)


def _bodies(server: Server, query: Query) -> Path:
    file = FOLDER / f"{server.name}-{query.name}.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(body) for body in query.bodies(server.name)))
    return file
