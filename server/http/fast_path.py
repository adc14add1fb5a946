"""The fast path: from the bytes of a request straight to its cached answer, without parsing them again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import nlargest
from operator import itemgetter
from typing import TypeAlias, cast

from starlette.types import Receive, Scope, Send

from cache.answers import AnswerCache, Source
from cache.changes import Tag
from cache.entries import Entry
from cache.memory import MemoryCache
from graph.metering import CACHED_POINTS, Meter, RateLimited
from server.http.admission import Admission
from server.http.browsers import is_preflighted
from server.http.caching import entry_headers, send_entry
from server.http.callers import viewer_of
from server.http.rate_limits import rate_limit_headers
from server.http.request_parsing import COST
from server.http.responses import HeaderList
from server.monitoring.metrics import RequestMetrics
from server.request_state import RequestState, bind_request_id, header_values

MAX_KNOWN_REQUESTS = 10_000
MAX_KNOWN_REQUEST_BYTES = 16 * 2**20
# Larger requests are rare, and to read them takes longer than the fast path saves.
MAX_BODY = 2**14
MAX_HEADERS = 500
# The memory that a known request takes beside its key, estimated.
KNOWN_REQUEST_BYTES = 500
# The headers that select the answer to the same bytes.
SELECTING_HEADERS = (b"accept", b"content-type", b"content-encoding")

# The method, the body or query string, the values of the headers above, and the viewer: equal requests have equal keys.
Key: TypeAlias = tuple[bytes, bytes, bytes | None, bytes | None, bytes | None, bytes | None]
# The method, the body or query string, and those of the headers above that were sent.
AnonymousRequest: TypeAlias = tuple[bytes | tuple[bytes, bytes], ...]


@dataclass(slots=True)
class KnownRequest:
    """key and tags of the cached answer, its media type, and the name of its operation.

    uses: how often it was sent since the most requested were recorded. head: the headers of the answer with this etag.
    """

    key: str
    tags: frozenset[Tag]
    media_type: str
    operation: str | None
    uses: int
    etag: bytes | None = None
    head: HeaderList = field(default_factory=list)

    def head_of(self, entry: Entry) -> HeaderList:
        """The headers of an answer from memory."""
        if entry.etag is not self.etag:
            self.etag, self.head = entry.etag, entry_headers(entry, self.media_type, Source.MEMORY)
        return self.head


class _KnownRequests(MemoryCache[KnownRequest]):
    min_uses = 1

    def uses_of(self, key: Key) -> int:
        known = self._entries.get(key)
        return known[0].uses if known else 0

    def by_uses(self) -> Iterator[tuple[int, Key, KnownRequest]]:
        return ((known.uses, cast(Key, key), known) for key, (known, _) in self._entries.items())


class FastPath:
    """Answers requests that are known, if their answers are cached."""

    def __init__(
        self,
        cache: AnswerCache,
        meter: Meter,
        metrics: RequestMetrics,
        admission: Admission,
        *,
        needs_preflight: bool,
    ) -> None:
        """needs_preflight: as in the endpoint, which rejects a GET without one of the required headers."""
        self._cache = cache
        self._meter = meter
        self._admission = admission
        self._metrics = metrics
        self._needs_preflight = needs_preflight
        self._known = _KnownRequests(max_entries=MAX_KNOWN_REQUESTS, max_bytes=MAX_KNOWN_REQUEST_BYTES)

    async def answer(self, scope: Scope, state: RequestState, receive: Receive, send: Send) -> bool:
        """Send the answer to a known request, if it is cached; return whether."""
        headers = state.headers
        if COST in headers or (state.has_repeated_headers and _repeats_a_selecting_header(scope)):
            return False
        method, body = b"GET", scope["query_string"]
        if scope["method"] == "POST":
            if not _is_short(headers.get(b"content-length", b"")[:6]):
                return False
            # Most bodies come in one message. To wait for the rest of others would delay their rejection.
            message = await receive()
            state.body = body = message.get("body", b"")
            state.is_body_complete = message["type"] == "http.request" and not message.get("more_body", False)
            if not state.is_body_complete:
                return False
            method = b"POST"
        elif not self._is_allowed_get(scope):
            return False
        state.fast_path_key = key = (
            method,
            body,
            headers.get(b"accept"),
            headers.get(b"content-type"),
            headers.get(b"content-encoding"),
            None if state.caller.user_id is None else viewer_of(state.caller),
        )
        known = self._known.get(key)
        if known is None:
            return False
        known.uses += 1
        entry, source = self._cache.find(known.key), Source.MEMORY
        if entry is None:
            bind_request_id(state)
            entry, source = await self._cache.find_shared(known.key, known.tags), Source.REDIS
        elif entry.needs_refresh and not self._admission.is_full:
            # The pipeline refreshes it, unless it would be rejected on the way there.
            return False
        if entry is None:
            return False
        head = known.head_of(entry) if source is Source.MEMORY else entry_headers(entry, known.media_type, source)
        if self._meter.limits(state.caller):
            bind_request_id(state)
            try:
                level = await self._meter.charge(state.caller, CACHED_POINTS)
            except RateLimited:
                # The pipeline raises it again, and the endpoint answers.
                return False
            head = [*head, *rate_limit_headers(level)]
        await send_entry(entry, head, scope, send)
        self._metrics.answered(known.operation, "ok", source.value, state.received_at)
        return True

    def remember(self, state: RequestState, entry: Entry, media_type: str, operation: str | None) -> None:
        """Make this request a known one, with this answer."""
        key: Key | None = state.fast_path_key
        if key is None:
            return
        size = sum(len(part) for part in key[2:] if part)
        if size > MAX_HEADERS:
            return
        uses = self._known.uses_of(key) or 1
        known = KnownRequest(entry.key, entry.tags, media_type, operation, uses)
        self._known.put(key, known, len(key[1]) + size + KNOWN_REQUEST_BYTES)

    def most_requested(self, number: int) -> dict[AnonymousRequest, int]:
        """The most frequent requests of anonymous callers since the previous call, with their counts."""
        anonymous = (known for known in self._known.by_uses() if known[1][-1] is None)
        most_used = nlargest(number, anonymous, key=itemgetter(0))
        for _, _, known in self._known.by_uses():
            known.uses = 0
        return {_anonymous_request(key): uses for uses, key, _ in most_used if uses}

    def _is_allowed_get(self, scope: Scope) -> bool:
        return scope["method"] in ("GET", "HEAD") and (not self._needs_preflight or is_preflighted(scope))


# Most lengths come again and again.
@lru_cache(maxsize=1_024)
def _is_short(length: bytes) -> bool:
    return len(length) < 6 and length.isdigit() and int(length) <= MAX_BODY


def _repeats_a_selecting_header(scope: Scope) -> bool:
    return any(len(header_values(scope, name)) > 1 for name in SELECTING_HEADERS)


def _anonymous_request(key: Key) -> AnonymousRequest:
    method, sent, *values, _ = key
    headers = zip(SELECTING_HEADERS, values, strict=True)
    return method, sent, *((name, value) for name, value in headers if value is not None)
