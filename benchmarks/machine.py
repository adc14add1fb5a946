"""Description of the machine, and the versions of the software."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import wrk_version
from benchmarks.postgraphile import node_version, package_version


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_before": [round(load, 2) for load in psutil.getloadavg()],
    }


def versions(postgres_version: str, *, with_postgraphile: bool) -> dict[str, str]:
    installed = {
        "Candlegraph": version("candlegraph"),
        "Python": platform.python_version(),
        "PostgreSQL": postgres_version,
        "asyncpg": version("asyncpg"),
        "Starlette": version("starlette"),
        "uvicorn": version("uvicorn"),
        "Strawberry": version("strawberry-graphql"),
        "SQLAlchemy": version("sqlalchemy"),
        "load": wrk_version(),
    }
    if with_postgraphile:
        installed["PostGraphile"] = package_version("postgraphile")
        installed["Node"] = node_version().removeprefix("v")
    return installed


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
