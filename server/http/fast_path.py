"""From a request as it was sent straight to its answer: what came before in the same bytes is not read again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from operator import itemgetter
from typing import TypeAlias, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.answers import AnswerCache, Source
from cache.changes import Tag
from cache.entries import Entry
from cache.memory import MemoryCache
from graph.metering import CACHED_POINTS, Meter, RateLimited
from server.http.admission import Admission
from server.http.browsers import is_preflighted
from server.http.caching import Head, head_of, send_entry
from server.http.callers import CALLER, viewer_of
from server.http.rate_limits import headers_of
from server.http.request_parsing import COST
from server.monitoring.metrics import RequestMetrics
from server.overload.request_queue import RECEIVED_AT

MAX_KNOWN_REQUESTS = 10_000
MAX_KNOWN_REQUEST_BYTES = 16 * 2**20
# Larger requests are rare, and reading them takes longer than what is saved.
MAX_BODY = 2**14
MAX_HEADERS = 500
# What a shortcut takes beside its request, roughly.
KNOWN_REQUEST_BYTES = 500
# The headers that decide over the answer to the same bytes.
DECISIVE = {b"accept", b"content-type", b"content-encoding"}

# Stands last among those, where what is sent is for one viewer.
VIEWER = b":viewer"

# Where a scope holds what tells its request from others.
KEY = "candlegraph.fast_path_key"
Key: TypeAlias = tuple[bytes | tuple[bytes, bytes], ...]


@dataclass(slots=True)
class KnownRequest:
    """key and tags of the answer, the type that it is sent as, and the name of its operation.

    head: that of the answer with this etag. asked: how often, since that was told.
    """

    key: str
    tags: frozenset[Tag]
    media_type: str
    operation: str | None
    asked: int
    etag: bytes | None = None
    head: Head = field(default_factory=list)

    def head_of(self, entry: Entry) -> Head:
        """The head of an answer from memory."""
        if entry.etag is not self.etag:
            self.etag, self.head = entry.etag, head_of(entry, self.media_type, Source.MEMORY)
        return self.head


class _KnownRequests(MemoryCache[KnownRequest]):
    min_uses = 1

    def asked_for(self, key: Key) -> int:
        known = self._entries.get(key)
        return known[0].asked if known else 0

    def asked(self) -> Iterator[tuple[int, Key, KnownRequest]]:
        return ((known.asked, cast(Key, key), known) for key, (known, _) in self._entries.items())


class FastPath:
    def __init__(self, cache: AnswerCache, meter: Meter, metrics: RequestMetrics, admission: Admission) -> None:
        self._cache = cache
        self._meter = meter
        self._admission = admission
        self._metrics = metrics
        self._known = _KnownRequests(max_entries=MAX_KNOWN_REQUESTS, max_bytes=MAX_KNOWN_REQUEST_BYTES)

    async def answer(self, key: Key, scope: Scope, send: Send) -> bool:
        """Send the answer to a request that came before, if it is kept; return whether."""
        started = scope.get(RECEIVED_AT) or time.perf_counter()
        known = self._known.get(key)
        if known is None:
            return False
        known.asked += 1
        entry, source = self._cache.find(known.key), Source.MEMORY
        if entry is None:
            entry, source = await self._cache.find_shared(known.key, known.tags), Source.REDIS
        elif entry.needs_refresh and not self._admission.is_full:
            # The long way, where it is made anew; unless nobody is let in there.
            return False
        if entry is None:
            return False
        head = known.head_of(entry) if source is Source.MEMORY else head_of(entry, known.media_type, source)
        caller = scope[CALLER]
        if self._meter.limits(caller):
            try:
                level = await self._meter.charge(caller, CACHED_POINTS)
            except RateLimited:
                # The long way tells.
                return False
            head = [*head, *headers_of(level)]
        await send_entry(entry, head, scope, send)
        self._metrics.answered(known.operation, "ok", source.value, started)
        return True

    def keep(self, scope: Scope, entry: Entry, media_type: str, operation: str | None) -> None:
        """Remember which answer the request of this scope gets."""
        key: Key | None = scope.get(KEY)
        if key is None:
            return
        asked = self._known.asked_for(key) or 1
        known = KnownRequest(entry.key, entry.tags, media_type, operation, asked)
        self._known.put(key, known, len(key[1]) + MAX_HEADERS + KNOWN_REQUEST_BYTES)

    def most_asked(self, number: int) -> dict[Key, int]:
        """The requests that were asked most since this was called before, and how often: of those of nobody."""
        of_nobody = (asked for asked in self._known.asked() if asked[1][-1][0] != VIEWER)
        hottest = nlargest(number, of_nobody, key=itemgetter(0))
        for _, _, known in self._known.asked():
            known.asked = 0
        return {key: asked for asked, key, _ in hottest if asked}


class FastPathMiddleware:
    """Takes shortcuts for requests to a path, before anything else looks at them."""

    def __init__(self, app: ASGIApp, path: str, fast_path: FastPath, *, needs_preflight: bool) -> None:
        """needs_preflight: as the endpoint has it, which refuses what it does not find."""
        self._app = app
        self._path = path
        self._fast_path = fast_path
        self._needs_preflight = needs_preflight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        decisive = self._decisive(scope)
        if decisive is not None:
            key: Key | None = (b"GET", scope["query_string"], *decisive)
            if scope["method"] == "POST":
                message = await receive()
                receive = _replayed(message, receive)
                key = None if message.get("more_body") else (b"POST", message.get("body", b""), *decisive)
            if key is not None:
                if await self._fast_path.answer(key, scope, send):
                    return
                scope[KEY] = key
        await self._app(scope, receive, send)

    def _decisive(self, scope: Scope) -> list[tuple[bytes, bytes]] | None:
        """What tells the request from others, beside its body or query string; None where there is no known."""
        if scope["type"] != "http" or scope["path"] != self._path:
            return None
        method, decisive, size, length = scope["method"], [], 0, b""
        if self._needs_preflight and method != "POST" and not is_preflighted(scope):
            return None
        for pair in scope["headers"]:
            name, value = pair
            if name in DECISIVE:
                decisive.append(pair)
                size += len(value)
            elif name == b"content-length":
                length = value
            elif name == COST:
                return None
        if size > MAX_HEADERS or not (_is_short(length) if method == "POST" else method in ("GET", "HEAD")):
            return None
        if (viewer := viewer_of(scope[CALLER])) is not None:
            decisive.append((VIEWER, viewer))
        return decisive


def _is_short(length: bytes) -> bool:
    return len(length) < 6 and length.isdigit() and int(length) <= MAX_BODY


def _replayed(message: Message, receive: Receive) -> Receive:
    waiting = [message]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
