"""Requests of any kind: each gets an answer that says what is wrong, in time, and none of them is a fault of ours."""

import asyncio
import base64
import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from asgi_lifespan import LifespanManager
from graphql import build_schema, get_named_type, is_input_object_type, is_leaf_type, is_list_type, is_non_null_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL
from starlette.types import ASGIApp, Message

from server.http.examples import EXAMPLES
from tests.application import application

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
JSON = [(b"content-type", b"application/json"), (b"accept", b"application/graphql-response+json")]
# Of the processor's time, which others on the machine do not take from us.
SLOWEST_SECONDS = 5.0

fuzzing = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Server:
    """The application, spoken to without a client that would put right what is wrong in a request."""

    def __init__(self, app: ASGIApp, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def ask(
        self,
        body: bytes = b"",
        *,
        path: str = "/graphql",
        method: str = "POST",
        headers: list[tuple[bytes, bytes]] = JSON,
        query_string: bytes = b"",
    ) -> Answered:
        return self._runner.run(self._ask(body, path, method, headers, query_string))

    async def _ask(
        self, body: bytes, path: str, method: str, headers: list[tuple[bytes, bytes]], query_string: bytes
    ) -> Answered:
        sent: list[Message] = []
        to_come: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if not to_come:
                # The client waits for its answer, however long that takes.
                await asyncio.Event().wait()
            return to_come.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query_string,
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await self._app(scope, receive, send)
        start, *rest = sent
        return Answered(start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in rest))

    def check(self, body: bytes = b"", **request: Any) -> Answered:
        """Ask, and find nothing wrong with the answer."""
        started = time.process_time()
        answered = self.ask(body, **request)
        assert time.process_time() - started < SLOWEST_SECONDS
        assert answered.status < 500
        if answered.headers[b"content-type"].startswith(b"text/html"):
            assert answered.status == 200
            return answered
        answer = orjson.loads(answered.body)
        errors = answer.get("errors", [])
        assert len(errors) <= 10
        assert ("data" in answer) or errors
        assert answered.status == 200 or ("data" not in answer and errors)
        for error in errors:
            assert isinstance(error["message"], str)
            assert error["extensions"]["code"] not in ("", "INTERNAL_SERVER_ERROR"), error
        return answered


@pytest.fixture(scope="module")
def server(demo_url: URL) -> Iterator[Server]:
    async def opened() -> AsyncIterator[ASGIApp]:
        app = application(demo_url)
        async with LifespanManager(app):
            yield app

    with asyncio.Runner() as runner:
        opening = opened()
        server = Server(runner.run(anext(opening)), runner)
        yield server
        health = orjson.loads(server.ask(path="/health/db", method="GET").body)
        runner.run(opening.aclose())
    assert health["poolInUse"] == 0


# What a body may hold. Values are JSON as text: some of it is none, and some of it no Python value can express.

HUGE = "9" * 10_000


def opaque(text: str) -> str:
    """As ids and cursors are written."""
    return f'"{base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()}"'


ODD_VALUES = [
    *("null", "true", "0", "-0", "-1", "1.5", "1e2", "1e308", "1e-999", "1e999", "NaN", "-Infinity"),
    *("2147483648", "9223372036854775808", "18446744073709551616", HUGE, f"-{HUGE}", f"0.{HUGE}"),
    *('""', '" "', '"x"', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\ufeff"'),
    *('"now"', '"now-1d"', '"now-999999999999w"', '"2026-11-01T00:00:00Z"', '"0001-01-01T00:00:00+14:00"'),
    *('"infinity"', '"nan"', '"1e9999"', '"BTC"', '"Q3J5cHRvY3VycmVuY3k6MQ=="'),
    *(opaque(f"{kind}:{key}") for kind in ("Trade", "Strategy") for key in ("9223372036854775808", "-1", HUGE, "\x00")),
    *(
        opaque(f"signals.newest|{at}|{key}")
        for at in ("1", "9223372036854775807", "x")
        for key in ("1", "9" * 19, "\ud800")
    ),
    *("[]", "{}", "[null]", "[[]]", "[[[1]]]", '["x", 1, null, {}]', '{"": 1}', '{"from": "now"}', '{"a": 1, "a": {}}'),
    *('{"symbol": "BTC"}', "[" * 90 + "]" * 90, "[" * 2_000 + "]" * 2_000, '{"from":' * 90 + "1" + "}" * 90),
    *(f'"{"x" * 10_000}"', f"[{','.join(['1'] * 1_000)}]", "[" + '"x",' * 1_000 + '"x"]', "", "'x'", "[1,]"),
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # integers and texts that JSON has no place for
        return repr(value).encode("utf-8", "surrogatepass")


def operation(query: str, variables: str = "{}") -> bytes:
    return b'{"query": %s, "variables": %s}' % (orjson.dumps(query), variables.encode("utf-8", "surrogatepass"))


VALUES = st.sampled_from(ODD_VALUES).map(lambda text: text.encode("utf-8", "surrogatepass")) | ANY_JSON.map(written)
MEMBERS = st.lists(
    st.tuples(
        st.sampled_from(["query", "variables", "operationName", "extensions", "", "id"]),
        VALUES | st.sampled_from([b'"{ __typename }"', b'"query A($a: Int) { signals(first: $a) { totalCount } }"']),
    ),
    max_size=5,
)


def as_object(members: list[tuple[str, bytes]]) -> bytes:
    """A JSON object in which a key may come twice."""
    return b"{%s}" % b",".join(b"%s:%s" % (orjson.dumps(name), value) for name, value in members)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good body that is cut off, or has bytes in it that do not belong there."""
    body = operation(draw(st.sampled_from(EXAMPLES)), '{"symbol": "\u00e9\U0001f600"}')
    at = draw(st.integers(0, len(body)))
    return body[:at] + draw(st.binary(max_size=3) | st.just(b"")) + body[draw(st.integers(at, len(body))) :]


@settings(fuzzing, max_examples=150)
@given(body=st.binary() | VALUES | MEMBERS.map(as_object) | damaged())
def test_no_body_is_a_fault_of_ours(server: Server, body: bytes) -> None:
    server.check(body)


def test_no_member_is_a_fault_of_ours(server: Server) -> None:
    query = orjson.dumps("query A($a: Int) { signals(first: $a) { totalCount } }")
    for name in ("query", "variables", "operationName", "extensions", "id"):
        for value in ODD_VALUES:
            server.check(as_object([("query", query), (name, value.encode("utf-8", "surrogatepass"))]))


# Values at every place that takes one.


def places() -> dict[str, tuple[str, str]]:
    """By what is written of it: the type of each argument and input field, and a document that gives it $v."""
    found: dict[str, tuple[str, str]] = {}
    for parent, around in (("Query", "{ %s }"), ("Cryptocurrency", '{ cryptocurrency(symbol: "BTC") { %s } }')):
        for name, field in SCHEMA.type_map[parent].fields.items():  # type: ignore[attr-defined]
            for written, type_ in inputs(field.args):
                document = around % f"{name}({written}{required(field.args, written)}) {below(field.type)}"
                # One of those that are written alike is enough: pages of all kinds have a first.
                found.setdefault(written, (str(type_), document))
    return found


def below(type_: Any) -> str:
    """A selection that needs the rows."""
    named = get_named_type(type_)
    if is_leaf_type(named):
        return ""
    wanted = [name for name in ("totalCount", "id", "close") if name in named.fields]
    return f"{{ {' '.join(wanted)} {'nodes { id }' if 'nodes' in named.fields else ''} __typename }}"


def inputs(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where a value may stand below these, as it is written: "filter: { timestamp: { from: $v } }"."""
    for name, member in members.items():
        yield f"{name}: $v", member.type
        bare = member.type.of_type if is_non_null_type(member.type) else member.type
        if is_list_type(bare):
            yield f"{name}: [$v]", bare.of_type
        if is_input_object_type(bare):
            for inner, type_ in inputs(bare.fields):
                yield f"{name}: {{ {inner} }}", type_


def required(arguments: dict[str, Any], written: str) -> str:
    """The arguments that may not be left out beside the one that is written."""
    values = {"symbol": '"BTC"', "ids": "[]"}
    names = [name for name, argument in arguments.items() if is_non_null_type(argument.type)]
    others = [name for name in names if not written.startswith(f"{name}:")]
    return "".join(", " + name + ": " + values.get(name, '"x"') for name in others)


PLACES = places()


def test_every_kind_of_value_has_its_places() -> None:
    types = " ".join(type_ for type_, _ in PLACES.values())
    for name in ("Int", "Float", "String", "ID", "Boolean", "DateTime", "Interval", "SignalType", "TimeRange"):
        assert re.search(rf"\b{name}\b", types)


@pytest.mark.parametrize(("type_", "document"), PLACES.values(), ids=[*PLACES])
def test_no_variable_is_a_fault_of_ours(server: Server, type_: str, document: str) -> None:
    query = f"query($v: {type_}) {document}"
    for value in ODD_VALUES:
        server.check(operation(query, f'{{"v": {value}}}'))
    server.check(operation(query))


FIRST_OF_TYPE = dict(reversed(PLACES.values()))
LITERALS = [
    *("null", "true", "-0", "1.5", "1e999", "-1e999", "2147483648", HUGE, f"-{HUGE}", f"0.{HUGE}", f"{HUGE}e{HUGE}"),
    *('""', r'"\u0000"', r'"\ud800"', r'"\u{110000}"', r'"\ud83d\ude00"', r'"\u{1f600}"', '"""block"""', '"open', "M1"),
    *("[]", "{}", "[[[1]]]", "{a: 1}", "{from: {from: 1}}", "$w", "[1, null]", "{a: 1, a: 2}", "[" * 150 + "]" * 150),
]


@pytest.mark.parametrize(("type_", "document"), PLACES.values(), ids=[*PLACES])
def test_no_literal_is_a_fault_of_ours(server: Server, type_: str, document: str) -> None:
    for literal in LITERALS:
        server.check(operation(document.replace("$v", literal)))
    for literal in LITERALS if document == FIRST_OF_TYPE[type_] else []:
        server.check(operation(f"query($v: {type_} = {literal}) {document}"))


@settings(fuzzing, max_examples=100)
@given(
    symbol=st.text(max_size=30),
    search=st.text(max_size=30),
    cursor=st.text(max_size=30),
    confidence=st.floats(allow_nan=False, allow_infinity=False),
    at=st.text(max_size=30) | st.datetimes().map(lambda at: at.isoformat() + "Z"),
)
def test_no_value_is_a_fault_of_ours(
    server: Server, symbol: str, search: str, cursor: str, confidence: float, at: str
) -> None:
    query = """query($symbol: String!, $search: String, $cursor: String, $confidence: Float, $at: DateTime) {
      cryptocurrency(symbol: $symbol) { candles(from: $at, last: 1) { close } }
      cryptocurrencies(filter: { search: $search, symbols: [$symbol] }) { totalCount }
      signals(after: $cursor, filter: { minConfidence: $confidence, symbol: $symbol }) { totalCount }
    }"""
    variables = {"symbol": symbol, "search": search, "cursor": cursor, "confidence": confidence, "at": at}
    server.check(written({"query": query, "variables": variables}))


# Documents.

TOKEN = re.compile(r'"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|\.\.\.|\$?\w+(?:\.\d+)?|#[^\n]*|[^\s\w,]')
TOUR = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
WITH_VARIABLES = [f"query($v: {type_}) {document}" for type_, document in PLACES.values()]
DOCUMENTS = [TOKEN.findall(text) for text in [*EXAMPLES, *TOUR, *WITH_VARIABLES]]
TOKENS = [
    *sorted({token for document in DOCUMENTS for token in document}),
    *(
        "fragment F on Query { ...F }",
        "...F",
        "@skip(if: true)",
        "@include(if: $v)",
        "@defer",
        "__schema { types { name } }",
    ),
    *("{", "}", "(", ")", "$", "!", "mutation", "subscription", "null", "\ufeff", "\u0000", "\U0001f600", "&", "a:"),
    *(HUGE, '"\\ud800"', "x" * 5_000, "__typename", "type Query { a: Int }", "extend", "on", "true", "..."),
]


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A good document with a few of its tokens gone, doubled, moved or exchanged."""
    tokens = list(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(tokens)))
        until = draw(st.integers(at, min(len(tokens), at + 4)))
        instead = draw(
            st.just([]) | st.just(tokens[at:until] * 2) | st.lists(st.sampled_from(TOKENS), min_size=1, max_size=2)
        )
        tokens[at:until] = instead
    return " ".join(tokens)


@settings(fuzzing, max_examples=150)
@given(document=documents(), value=st.sampled_from(ODD_VALUES), name=st.sampled_from(["v", "symbol", "x"]))
def test_no_document_is_a_fault_of_ours(server: Server, document: str, value: str, name: str) -> None:
    server.check(operation(document, f'{{"{name}": {value}}}'))


NESTED = {
    "selections": ("{ __typename ...on Query ", "{ __typename }", "}"),
    "fields": ('{ cryptocurrency(symbol: "BTC") { predictions { nodes ', "{ id }", "} } }"),
    "unknown fields": ("{ a ", "", "}"),
    "inline fragments": ("{ ... ", "{ __typename }", "}"),
    "lists": ("[", "1", "]"),
    "objects": ("{ a: ", "1", "}"),
    "types": ("[", "Int", "]"),
    "required types": ("[", "Int", "!]"),
    "braces": ("{", "", ""),
    "introspection": ("{ ofType ", "{ name }", "}"),
}
AROUND = {
    "lists": ["{ nodes(ids: %s) { id } }", "query($v: [ID!]! = %s) { nodes(ids: $v) { id } }", "{ a @skip(if: %s) }"],
    "objects": ["{ signals(filter: %s) { totalCount } }", "query($v: SignalFilter = %s) { __typename }"],
    "types": ["query($v: %s) { __typename }"],
    "required types": ["query($v: %s) { __typename }"],
    "introspection": ["{ __schema { types %s } }"],
}


@pytest.mark.parametrize("depth", [3, 30, 150, 300, 5_000])
@pytest.mark.parametrize("kind", NESTED)
def test_no_depth_is_a_fault_of_ours(server: Server, kind: str, depth: int) -> None:
    opening, middle, closing = NESTED[kind]
    nested = opening * depth + middle + closing * depth
    for around in AROUND.get(kind, ["%s"]):
        document = around % nested
        server.check(operation(document))
        if len(document) <= 100_000:
            fragments = (f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(min(depth, 1_000)))
            server.check(operation(f"{document} {' '.join(fragments)}"))


@pytest.mark.parametrize("count", [100, 2_000, 5_000])
def test_no_width_is_a_fault_of_ours(server: Server, count: int) -> None:
    for part in (
        "a#: __typename",
        'a#: cryptocurrency(symbol: "BTC") { name }',
        'a#: node(id: "x") { id }',
        "a#: health { status }",
        f"{'a' * 40}#: signals(first: 1) {{ totalCount }}",
        "...F @include(if: false)",
        "__typename @skip(if: true)",
    ):
        document = " ".join(part.replace("#", str(number)) for number in range(count))
        server.check(operation(f"{{ {document} }} fragment F on Query {{ __typename }}"))
    fragments = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(min(count, 180)))
    server.check(operation(f"{{ ...F0 }} {fragments} fragment F{min(count, 180)} on Query {{ __typename }}"))


# What stands around a body.

NAMES = [
    *(b"accept", b"content-encoding", b"content-length", b"content-type", b"cookie"),
    *(b"expect", b"host", b"origin", b"transfer-encoding", b""),
]
ODD_HEADERS = [
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xb2",
        "\u0664".encode(),
        b"-1",
        b"0x10",
        b"1_000",
        b"9" * 5_000,
        b"," * 5_000,
        b"/",
        b";",
    ),
    *(
        b"application/json",
        b"application/json;charset",
        b"application/json; charset=\xff",
        b"application/json;" * 2_000,
    ),
    *(
        b"*/*;q=" + quality
        for quality in (b"", b"nan", b"inf", b"1e5", b"-1", b"\xb2", b".", b"9" * 5_000, b"0." + b"9" * 5_000)
    ),
    *(b"identity", b"gzip", b"text/html", b"*/*, application/json;q=0, application/graphql-response+json;q=0"),
]


def test_no_header_is_a_fault_of_ours(server: Server) -> None:
    body = operation("{ __typename }")
    for name in NAMES:
        for value in ODD_HEADERS:
            for method in ("POST", "GET"):
                query_string = b"query={__typename}"
                server.check(body, method=method, headers=[(name, value)], query_string=query_string)
                server.check(body, method=method, headers=[(name, value), *JSON], query_string=query_string)
                server.check(body, method=method, headers=[*JSON, (name, value)], query_string=query_string)


@settings(fuzzing, max_examples=100)
@given(
    method=st.sampled_from(["POST", "GET", "HEAD", "PUT", "\xff"]),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=40)), max_size=4),
)
def test_no_headers_are_a_fault_of_ours(server: Server, method: str, headers: list[tuple[bytes, bytes]]) -> None:
    server.check(operation("{ __typename }"), method=method, headers=headers)


PARAMETER_NAMES = ["query", "variables", "operationName", "extensions", "x", ""]
PARAMETER_VALUES = (
    st.sampled_from(
        [quote("{ __typename }"), quote(EXAMPLES[0]), "%", "%z", "%ff", "%00", "%ud800", "%ED%A0%80", "+", ""]
    )
    | st.sampled_from(ODD_VALUES).map(lambda value: quote(value.encode("utf-8", "surrogatepass")))
    | st.text(max_size=10).map(lambda text: quote(text.encode("utf-8", "surrogatepass")))
)
QUERY_STRINGS = st.binary(max_size=60) | st.lists(
    st.tuples(st.sampled_from(PARAMETER_NAMES), PARAMETER_VALUES), max_size=4
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode())


@settings(fuzzing, max_examples=100)
@given(query_string=QUERY_STRINGS, method=st.sampled_from(["GET", "HEAD", "POST"]))
def test_no_query_string_is_a_fault_of_ours(server: Server, query_string: bytes, method: str) -> None:
    server.check(operation("{ __typename }"), method=method, query_string=query_string)


@settings(fuzzing, max_examples=100)
@given(document=documents(), value=st.sampled_from(ODD_VALUES))
def test_no_get_is_a_fault_of_ours(server: Server, document: str, value: str) -> None:
    variables = quote(f'{{"v": {value}}}'.encode("utf-8", "surrogatepass"))
    query = quote(document.encode("utf-8", "surrogatepass"))
    server.check(method="GET", query_string=f"query={query}&variables={variables}".encode())
