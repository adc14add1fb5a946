"""Refusals outside the endpoint, in the form of its own."""

import orjson
from starlette.responses import Response


def error_response(status: int, code: str, message: str) -> Response:
    """401 says how to sign in."""
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="candlegraph"'
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
