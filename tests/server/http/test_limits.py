"""Limits: large bodies, wrong lengths, and documents with thousands of errors."""

import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from sqlalchemy import URL
from starlette.requests import Request
from starlette.types import Message

from graph.identity.scopes import Scope
from server.http.request_parsing import MAX_BODY, MAX_BODY_OF_WRITERS, RequestError, parse_request
from tests.application import Client, application, serving
from tests.people import SIGNING, key_of, signed

JSON = {"content-type": "application/json"}
QUERY = b'{"query": "{ __typename }"}'


async def test_a_body_whose_content_length_is_too_large_is_not_read(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("The body is read.")
        yield b""

    for length in (str(MAX_BODY_OF_WRITERS + 1), "0" + str(MAX_BODY_OF_WRITERS + 1), "9" * 5_000):
        response = await client.post("/graphql", content=body(), headers={**JSON, "content-length": length})
        assert response.status_code == 413
        assert response.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_callers_who_may_write_may_send_larger_bodies(database_url: URL) -> None:
    signatures: list[dict[str, str]] = [{}, *[signed(await key_of(database_url, scope)) for scope in Scope]]
    async with serving(database_url, **SIGNING) as client:
        for signature, most in zip(signatures, [MAX_BODY] * 2 + [MAX_BODY_OF_WRITERS] * 2, strict=True):
            for length, status in ((most, 200), (most + 1, 413)):
                answer = await client.post("/graphql", content=QUERY.ljust(length), headers={**JSON, **signature})
                assert answer.status_code == status
            assert f"{most:,} bytes" in answer.text


async def test_an_endless_body_is_rejected(client: Client) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 2**14
            yield b" " * 2**14

    for headers in (JSON, {**JSON, "content-length": "5"}, {**JSON, "content-length": "-1"}):
        read = 0
        response = await client.post("/graphql", content=body(), headers=headers)
        assert response.status_code == 413
        assert read <= MAX_BODY_OF_WRITERS + 2 * 2**14


async def test_a_body_may_arrive_in_pieces(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        for byte in QUERY:
            yield bytes([byte])

    assert (await client.post("/graphql", content=body(), headers=JSON)).json() == {"data": {"__typename": "Query"}}


async def test_a_truncated_body_is_rejected_even_if_it_is_valid() -> None:
    messages = [{"type": "http.request", "body": QUERY, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(RequestError, match="ended early"):
        await parse_request(Request(scope, receive))


@pytest.mark.parametrize("first", [QUERY[:5], b""])
async def test_a_client_that_disconnects_within_a_short_body_gets_an_error(demo_url: URL, first: bytes) -> None:
    """Both the fast path and the endpoint read it, and neither fails."""
    messages = [{"type": "http.request", "body": first, "more_body": True}] if first else []
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(QUERY))],
    }
    await application(demo_url)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b"ended early" in sent[1]["body"]


def exchange(served: str, *parts: bytes) -> bytes:
    """The bytes that the server sends on a connection after these, until it closes the connection."""
    address = urlsplit(served)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        chunks = []
        # It may close the connection before all is sent.
        with suppress(OSError):
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            chunks += iter(lambda: connection.recv(2**16), b"")
        return b"".join(chunks)


def head(*lines: str) -> bytes:
    lines = ("POST /graphql HTTP/1.1", "Host: test", "Content-Type: application/json", *lines)
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_large_body_is_rejected_before_it_is_sent(served: str) -> None:
    response = exchange(served, head(f"Content-Length: {MAX_BODY_OF_WRITERS + 1}", "Expect: 100-continue"))
    assert response.startswith(b"HTTP/1.1 413 ")
    assert json.loads(response.partition(b"\r\n\r\n")[2])["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("length", ["1000", "5", "-5", "five", "5, 6"])
def test_a_server_survives_wrong_lengths(served: str, length: str) -> None:
    exchange(served, head(f"Content-Length: {length}"), QUERY)
    response = exchange(served, head(f"Content-Length: {len(QUERY)}"), QUERY)
    assert response.endswith(b'{"data":{"__typename":"Query"}}')


# Errors.


def many(part: str, count: int) -> str:
    return " ".join(part.replace("#", str(number)) for number in range(count))


# Documents of the largest size, with an error in every part.
MISTAKEN = {
    "fields": f"{{ {many('f#', 9_900)} }}",
    "arguments": f"{{ health({many('a#: 1', 3_300)}) {{ status }} }}",
    "argument": f"{{ {many('a#: node(id: 1.5) { id }', 900)} }}",
    "values": f"{{ nodes(ids: [{many('1.5', 9_900)}]) {{ id }} }}",
    "enums": f"{{ signals(filter: {{ types: [{many('E#', 9_900)}] }}) {{ totalCount }} }}",
    "members": f"{{ signals(filter: {{ {many('m#: 1', 3_300)} }}) {{ totalCount }} }}",
    "long names": f"{{ {many('f' * 900 + '#', 100)} }}",
    "variables": f"{{ nodes(ids: [{many('$v#', 4_900)}]) {{ id }} }}",
    "unused variables": f"query({many('$v#: Int', 2_400)}) {{ __typename }}",
    "one variable": f"query({many('$v: Int', 2_400)}) {{ __typename }}",
    "directives": f"{{ __typename {many('@d#', 4_900)} }}",
    "fragments": f"{{ {many('...F#', 3_300)} }}",
    "unused fragments": f"{{ __typename }} {many('fragment F# on Query { __typename }', 1_400)}",
    "chained fragments": f"{{ ...F0 }} {many('fragment F# on Query { ...F# }', 1_100)}",
    "operations": many("query Q { __typename }", 1_900),
    "conflicts": f"{{ {many('a: __typename a: health { status }', 1_100)} }}",
    "the same field": f"{{ {many('health { status }', 2_400)} }}",
    "the same relation": f"{{ {many('predictions { nodes { model { name } } }', 900)} }}",
}


@pytest.mark.parametrize("query", MISTAKEN.values(), ids=[*MISTAKEN])
async def test_errors_are_capped_and_found_in_time(client: Client, query: str) -> None:
    started = time.process_time()
    answer = await client.ask(query)
    assert time.process_time() - started < 5
    assert 1 <= len(answer["errors"]) <= 10
    for error in answer["errors"]:
        assert error["extensions"]["code"] in {
            "GRAPHQL_VALIDATION_FAILED",
            "OPERATION_RESOLUTION_FAILURE",
            "QUERY_TOO_LARGE",
        }


async def test_errors_of_variables_are_capped(client: Client) -> None:
    query = "query($filter: SignalFilter) { signals(filter: $filter) { totalCount } }"
    for variables in ({"types": ["X"] * 100_000}, {f"m{number}": 1 for number in range(60_000)}):
        started = time.process_time()
        answer = await client.ask(query, filter=variables)
        assert time.process_time() - started < 5
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
        assert len(answer["errors"]) == 10


async def test_errors_of_fields_are_capped(client: Client) -> None:
    answer = await client.ask("query { " + many('n#: node(id: "x") { id }', 30) + " }")
    assert answer["data"]["n29"] is None
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INVALID_ID"] * 10
