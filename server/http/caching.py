"""The HTTP headers of an answer that may be cached: how long it is valid, its age, and its entity tag."""

from starlette.types import Scope, Send

from cache.answers import Source
from cache.entries import Entry
from server.http.responses import VARY, HeaderList, content_type


def entry_headers(entry: Entry, media_type: str, source: Source) -> HeaderList:
    """The headers of an answer, without its age and tag. send_entry relies on the order of the first two."""
    return [
        content_type(media_type),
        (b"content-length", b"%d" % len(entry.body)),
        VARY,
        (b"cache-control", b"max-age=%d, %s" % (entry.lifetime, _audience(entry))),
        (b"x-cache", f"{source.value}; tier={entry.tier.name}".encode()),
    ]


def _audience(entry: Entry) -> bytes:
    return b"private" if entry.is_private else b"public"


async def send_entry(entry: Entry, head: HeaderList, scope: Scope, send: Send) -> None:
    """Send an answer; or 304, if it is no POST and If-None-Match names the answer's tag."""
    headers = [*head, (b"age", b"%d" % entry.age)]
    if scope["method"] != "POST":
        headers.append((b"etag", entry.etag))
        if _matches(entry.etag, scope):
            # The first two describe the body.
            await send({"type": "http.response.start", "status": 304, "headers": headers[2:]})
            await send({"type": "http.response.body", "body": b""})
            return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": entry.body})


def _matches(etag: bytes, scope: Scope) -> bool:
    """Whether If-None-Match names this tag, or any."""
    values = [value for name, value in scope["headers"] if name == b"if-none-match"]
    tags = [tag.strip().removeprefix(b"W/") for value in values for tag in value.split(b",")]
    return etag in tags or b"*" in tags
