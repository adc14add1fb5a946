"""The headers of every response: the id of the request, and those that restrict what browsers do with the response."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.request_state import REQUEST_ID_HEADER, begin_request

CONTENT_SECURITY_POLICY = b"content-security-policy"
# Each header takes half a microsecond to send, so all responses get no more than data needs.
ALL_RESPONSES = ((b"x-content-type-options", b"nosniff"),)
# A browser that is made to show data as a page loads and runs nothing for it, and shows it in no frame.
DATA_POLICY = (CONTENT_SECURITY_POLICY, b"default-src 'none'; frame-ancestors 'none'")
# Beside its policy, a page sends no referrer; the others do for older browsers what the policy does.
PAGE_HEADERS = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# Two years. RFC 6797 wants it sent over HTTPS only.
STRICT_TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=63072000")


class ResponseHeaders:
    """Begins the state of each request, and adds the headers to its response.

    It runs for every request, so it has no coroutine of its own.
    """

    def __init__(self, app: ASGIApp, *, is_production: bool) -> None:
        self._app = app
        # By HTTP, and by HTTPS.
        common = ALL_RESPONSES, (*ALL_RESPONSES, STRICT_TRANSPORT_SECURITY) if is_production else ALL_RESPONSES
        self._data_headers = [(*headers, DATA_POLICY) for headers in common]
        self._page_headers = [(*headers, *PAGE_HEADERS) for headers in common]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        state = begin_request(scope)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                state.has_response = True
                is_https = scope["scheme"] == "https"
                policy = state.page_policy
                if policy is None:
                    ours = self._data_headers[is_https]
                else:
                    ours = (*self._page_headers[is_https], (CONTENT_SECURITY_POLICY, policy))
                request_id = REQUEST_ID_HEADER, state.request_id
                message["headers"] = [*message.get("headers", ()), request_id, *ours]
            return send(message)

        return self._app(scope, receive, send_with_headers)
