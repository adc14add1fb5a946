"""The GraphQL endpoint: GraphQL over HTTP.

A request that is none (a body that cannot be read, say) is refused with a status of 400 and above. So is an operation
that cannot be run (it cannot be parsed or validated, or a variable does not fit), which has no data; but to those who
ask for application/json that is a 200, as ever. Errors of fields come beside the data, with 200.
"""

import time

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from cache.answers import Source
from graph.documents import NotAQuery
from graph.metering import RateLimited
from graph.pipeline import Pipeline
from graph.response import Answer
from server.http.browsers import POLICY
from server.http.caching import VARY, Head, head_of, send_entry
from server.http.callers import CALLER
from server.http.fast_path import FastPath
from server.http.graphiql import policy_of
from server.http.media_types import GRAPHQL_JSON, HTML, JSON
from server.http.rate_limits import headers_of, refusal
from server.http.request_parsing import (
    NOT_BY_GET,
    RequestError,
    answer_type,
    check_method,
    check_preflight,
    parse_request,
)
from server.monitoring.metrics import OTHER, Outcome, RequestMetrics
from server.overload.disconnects import ClientGone, Watch, WhileAwaited
from server.overload.request_queue import RECEIVED_AT

# Of what is not kept.
HEADS: dict[str, Head] = {
    media_type: [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"vary", VARY),
        (b"cache-control", b"no-store"),
    ]
    for media_type in (JSON, GRAPHQL_JSON)
}


class GraphQLEndpoint:
    """Serves operations by POST, queries by GET, and GraphiQL to browsers."""

    def __init__(
        self,
        operations: Pipeline,
        fast_path: FastPath,
        metrics: RequestMetrics,
        *,
        graphiql: str | None,
        needs_preflight: bool,
        timeout_seconds: float,
    ) -> None:
        """needs_preflight: whether queries by GET need a header that makes browsers ask first."""
        self._operations = operations
        self._metrics = metrics
        self._fast_path = fast_path
        self._graphiql = HTMLResponse(graphiql, headers={"Vary": "Accept"}) if graphiql else None
        self._policy = policy_of(graphiql).encode() if graphiql else None
        self._needs_preflight = needs_preflight
        self._timeout_seconds = timeout_seconds
        self._watch = Watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = scope.get(RECEIVED_AT) or time.perf_counter()
        told = await self._respond(Request(scope, receive), send, started)
        if told is not None:
            self._metrics.answered(*told, started)

    async def _respond(self, request: Request, send: Send, started: float) -> tuple[str | None, Outcome, str] | None:
        """Answer; return the operation's name, what became of it, and where its answer was found.

        None of GraphiQL, and where nobody waits for an answer.
        """
        scope, receive = request.scope, request.receive
        media_type = JSON
        try:
            check_method(request)
            media_type = answer_type(request, has_page=self._graphiql is not None)
            if media_type == HTML and self._graphiql is not None:
                scope[POLICY] = self._policy
                await self._graphiql(scope, receive, send)
                return None
            if self._needs_preflight:
                check_preflight(request)
            asked = await parse_request(request, scope[CALLER])
            with WhileAwaited(self._watch, receive, started + self._timeout_seconds):
                answer = await self._operations.answer(asked, queries_only=request.method != "POST")
        except RateLimited as error:
            await refusal(error, media_type)(scope, receive, send)
            return asked.name, "limited", OTHER
        except NotAQuery:
            await _refusal(media_type, NOT_BY_GET)(scope, receive, send)
            return None, "rejected", OTHER
        except RequestError as error:
            await _refusal(media_type, error)(scope, receive, send)
            return None, "rejected", OTHER
        except ClientGone:
            return None
        source = OTHER if answer.is_request_error else answer.source.value
        if answer.entry is None or answer.source is Source.BYPASS:
            await _send(answer, media_type, send)
            return asked.name, _outcome(answer), source
        self._fast_path.keep(scope, answer.entry, media_type, asked.name)
        head = [*head_of(answer.entry, media_type, answer.source), *headers_of(answer.level)]
        await send_entry(answer.entry, head, scope, send)
        return asked.name, "ok", source


async def _send(answer: Answer, media_type: str, send: Send) -> None:
    """An answer that is not kept."""
    status = _status(media_type, is_request_error=answer.is_request_error)
    body = answer.body
    head = [*HEADS[media_type], (b"content-length", b"%d" % len(body)), *headers_of(answer.level)]
    if answer.entry is not None:
        head.append((b"x-cache", b"bypass"))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _outcome(answer: Answer) -> Outcome:
    if answer.is_request_error:
        return "refused"
    return "partial" if answer.errors else "ok"


def _status(media_type: str, *, is_request_error: bool) -> int:
    """Clients of application/json read no body but that of a 200: any other may come from what stands between."""
    return 400 if is_request_error and media_type == GRAPHQL_JSON else 200


def _refusal(media_type: str, error: RequestError) -> Response:
    body = {"errors": [{"message": str(error), "extensions": {"code": error.code}}]}
    response = Response(orjson.dumps(body), error.status, error.headers)
    response.raw_headers += HEADS[media_type]
    return response
