"""Health over REST: for orchestrators, who need no more than a status, and in detail for those who may see it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from graph.context import Context
from graph.types.health import HealthStatus, probe_health
from server.overload.draining import is_draining


def health_routes(context: Context) -> list[Route]:
    async def about(_: Request) -> Response:
        service = context.service
        return _respond(
            {
                "status": HealthStatus.HEALTHY,
                "service": service.name,
                "version": service.version,
                "timestamp": datetime.now(UTC),
            }
        )

    async def live(_: Request) -> Response:
        return _respond({"status": HealthStatus.HEALTHY})

    async def ready(request: Request) -> Response:
        if is_draining(request):
            return _respond(
                {"status": HealthStatus.UNHEALTHY, "message": "The server is about to stop: it is draining."}
            )
        probe = await context.database.probe()
        status = HealthStatus.HEALTHY if probe.alive else HealthStatus.UNHEALTHY
        return _respond({"status": status, "message": probe.message})

    return [
        Route("/health", about),
        Route("/livez", live),
        Route("/readyz", ready),
    ]


def detail_routes(context: Context, jobs: Callable[[], list[dict[str, Any]]]) -> list[Route]:
    """What tells of the insides. jobs: the status of each background job."""

    async def database(_: Request) -> Response:
        return _respond((await probe_health(context)).database)

    async def cache(_: Request) -> Response:
        return _respond((await probe_health(context)).cache)

    async def detailed(_: Request) -> Response:
        return _respond(await probe_health(context), {"jobs": jobs()})

    return [
        Route("/health/db", database),
        Route("/health/cache", cache),
        Route("/health/detailed", detailed),
    ]


def _respond(report: Any, more: Mapping[str, Any] | None = None) -> Response:
    """503 tells a balancer to send nobody here; what is degraded still serves."""
    written = _written(report) | _written(more or {})
    status = 503 if written["status"] == "unhealthy" else 200
    return Response(orjson.dumps(written), status, {"Cache-Control": "no-store"}, media_type="application/json")


def _written(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value.lower()
    if isinstance(value, Mapping):
        return {to_camel_case(name): _written(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_written(part) for part in value]
    if (definition := get_object_definition(type(value))) is None:
        return value
    # Fields with a resolver are rows: they are the graph's to answer.
    plain = [field.python_name for field in definition.fields if field.base_resolver is None]
    return _written({name: getattr(value, name) for name in plain})
