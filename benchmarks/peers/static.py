"""Static bytes: a bare Starlette route for each query, which returns the recorded answer of another server.

It is the floor of a cache: the cost of HTTP under the same HTTP server, and nothing else.
"""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ANSWERS = {file.stem: file.read_bytes() for file in Path(os.environ["STATIC_ANSWERS"]).glob("*.json")}


async def answer(request: Request) -> Response:
    return Response(ANSWERS[request.path_params["query"]], media_type="application/json")


app = Starlette(routes=[Route("/{query}", answer, methods=["POST"])])
