"""Requests in files: how they are read, and messages for invalid ones."""

import re
from pathlib import Path

import pytest

from graph.request import GraphQLRequest
from server.jobs.recording import NamedRequest
from server.jobs.request_files import requests_in
from server.jobs.warming import WarmingError


async def test_operations_without_required_variables_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.graphql"
    text = "query A { a } query B($b: Int!) { b } query C($c: Int! = 1, $d: Int) { c } fragment D on E { d }"
    file.write_text(text)
    assert await requests_in(file) == [
        NamedRequest(f"{file}, {name}", GraphQLRequest(text, {}, name)) for name in ("A", "C")
    ]
    file.write_text("\ufeff{ a }")
    assert await requests_in(file) == [NamedRequest(str(file), GraphQLRequest("{ a }", {}, None))]


async def test_json_has_one_request_or_several(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"query": "{ a }", "variables": {"b": [1]}, "operationName": null}')
    assert await requests_in(file) == [NamedRequest(str(file), GraphQLRequest("{ a }", {"b": [1]}, None))]
    file = tmp_path / "a.jsonl"
    file.write_text('{"query": "{ \u2028a }"}\r\n\n{"query": "query B { b }", "operationName": "B"}')
    assert [named.name for named in await requests_in(file)] == [f"{file}, line 1", f"{file}, line 3, B"]


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.graphql", b"{ a\n b", "a.graphql, line 2: Syntax Error: Expected Name, found <EOF>."),
        ("a.graphql", b"\xff", "a.graphql is not in UTF-8."),
        ("a.json", b"{", "a.json: this is not valid JSON: "),
        ("a.json", b'[{"query": "{ a }"}, {"query": 1}]', "a.json, request 2: The request needs a query"),
        ("a.jsonl", b'{"query": "{ a }"}\n[]', "a.jsonl, line 2: The body must be one JSON object"),
        ("a.jsonl", b'\n{"query": "', "a.jsonl, line 2: this is not valid JSON: "),
    ],
)
async def test_errors_name_the_place(tmp_path: Path, name: str, text: bytes, error: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(WarmingError, match=re.escape(f"{tmp_path}/{error}")):
        await requests_in(tmp_path / name)
