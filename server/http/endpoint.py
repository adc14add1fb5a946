"""The GraphQL endpoint: GraphQL over HTTP.

A malformed request (such as a body that cannot be parsed) gets a status of 400 or above. So does an operation that
cannot be executed (it does not parse or validate, or a variable does not fit its type), which has no data; but clients
that accept application/json get it with 200, by convention. Errors of fields come beside the data, with 200.
"""

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from cache.answers import Source
from graph.documents import NotAQuery
from graph.metering import RateLimited
from graph.pipeline import Pipeline
from graph.response import Answer
from server.http.admission import LoadShedder
from server.http.caching import entry_headers, send_entry
from server.http.errors import HTTPError, error_response, internal_error
from server.http.fast_path import FastPath
from server.http.graphiql import content_security_policy
from server.http.media_types import GRAPHQL_JSON, HTML, JSON
from server.http.rate_limits import rate_limit_error, rate_limit_headers
from server.http.request_parsing import NOT_BY_GET, answer_type, check_method, check_preflight, parse_request
from server.http.responses import NO_STORE, VARY, HeaderList, content_type
from server.monitoring.metrics import OTHER, Outcome, RequestMetrics
from server.overload.disconnects import CancelOnDisconnect, ClientDisconnected, DisconnectMonitor
from server.request_state import STATE, RequestState, bind_request_id

# Of answers that are not cached.
HEADS: dict[str, HeaderList] = {
    media_type: [content_type(media_type), VARY, NO_STORE] for media_type in (JSON, GRAPHQL_JSON)
}


class GraphQLEndpoint:
    """Serves operations by POST, queries by GET, and GraphiQL to browsers.

    fast path -> load shedding -> parsing -> pipeline. The caller has been identified before.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        fast_path: FastPath | None,
        load_shedder: LoadShedder,
        metrics: RequestMetrics,
        *,
        graphiql: str | None,
        needs_preflight: bool,
        timeout_seconds: float,
    ) -> None:
        """fast_path: None without a cache. needs_preflight: whether a GET must have a header that needs a preflight."""
        self._pipeline = pipeline
        self._fast_path = fast_path
        self._load_shedder = load_shedder
        self._metrics = metrics
        self._graphiql = HTMLResponse(graphiql, headers={"Vary": "Accept"}) if graphiql else None
        self._page_policy = content_security_policy(graphiql).encode() if graphiql else None
        self._needs_preflight = needs_preflight
        self._timeout_seconds = timeout_seconds
        self._disconnects = DisconnectMonitor()
        self._execute = ServerErrorMiddleware(self._parse_and_execute, handler=internal_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: RequestState = scope[STATE]
        if self._fast_path is not None and await self._fast_path.answer(scope, state, receive, send):
            return
        bind_request_id(state)
        if self._load_shedder.must_reject(scope, state):
            await self._load_shedder.reject(state, send)
        else:
            await self._execute(scope, receive, send)

    async def _parse_and_execute(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: RequestState = scope[STATE]
        measured = await self._respond(Request(scope, receive), state, send)
        if measured is not None:
            self._metrics.answered(*measured, state.received_at)

    async def _respond(
        self, request: Request, state: RequestState, send: Send
    ) -> tuple[str | None, Outcome, str] | None:
        """Send the response. Returns the operation's name, the outcome, and the source of the answer, for metrics.

        None for GraphiQL, and if the client has disconnected.
        """
        scope, receive = request.scope, request.receive
        media_type = JSON
        try:
            check_method(request)
            media_type = answer_type(request, has_page=self._graphiql is not None)
            if media_type == HTML and self._graphiql is not None:
                state.page_policy = self._page_policy
                await self._graphiql(scope, receive, send)
                return None
            if self._needs_preflight:
                check_preflight(request)
            operation = await parse_request(request, state.caller)
            with CancelOnDisconnect(self._disconnects, receive, state.received_at + self._timeout_seconds):
                answer = await self._pipeline.answer(operation, queries_only=request.method != "POST")
        except RateLimited as error:
            await error_response(rate_limit_error(error), scope, media_type)(scope, receive, send)
            return operation.name, "limited", OTHER
        except NotAQuery:
            await error_response(NOT_BY_GET, scope, media_type)(scope, receive, send)
            return None, "rejected", OTHER
        except HTTPError as error:
            await error_response(error, scope, media_type)(scope, receive, send)
            return None, "rejected", OTHER
        except ClientDisconnected:
            return None
        source = OTHER if answer.is_request_error else answer.source.value
        if answer.entry is None or answer.source is Source.BYPASS:
            await _send(answer, media_type, send)
            return operation.name, _outcome(answer), source
        if self._fast_path is not None:
            self._fast_path.remember(state, answer.entry, media_type, operation.name)
        head = [*entry_headers(answer.entry, media_type, answer.source), *rate_limit_headers(answer.level)]
        await send_entry(answer.entry, head, scope, send)
        return operation.name, "ok", source


async def _send(answer: Answer, media_type: str, send: Send) -> None:
    """Send an answer that is not cached."""
    status = _status(media_type, is_request_error=answer.is_request_error)
    body = answer.body
    head = [*HEADS[media_type], (b"content-length", b"%d" % len(body)), *rate_limit_headers(answer.level)]
    if answer.entry is not None:
        head.append((b"x-cache", b"bypass"))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _outcome(answer: Answer) -> Outcome:
    if answer.is_request_error:
        return "refused"
    return "partial" if answer.errors else "ok"


def _status(media_type: str, *, is_request_error: bool) -> int:
    """Clients of application/json parse only a body with 200: with any other status, an intermediary may have sent it.

    Clients of application/graphql-response+json can tell by the media type.
    """
    return 400 if is_request_error and media_type == GRAPHQL_JSON else 200
