"""Health over REST: a status for orchestrators and load balancers, and details for administrators."""

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
    """The public routes: /health, /livez and /readyz."""

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
    """The routes that show internals. jobs: the status of each background job."""

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
    """503 takes the server out of a load balancer; a degraded one still serves."""
    body = _to_json(report) | _to_json(more or {})
    status = 503 if body["status"] == "unhealthy" else 200
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, media_type="application/json")


def _to_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value.lower()
    if isinstance(value, Mapping):
        return {to_camel_case(name): _to_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_json(part) for part in value]
    if (definition := get_object_definition(type(value))) is None:
        return value
    # Fields with a resolver are rows: only the graph shows them.
    stored = [field.python_name for field in definition.fields if field.base_resolver is None]
    return _to_json({name: getattr(value, name) for name in stored})
