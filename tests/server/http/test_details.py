"""Details of health: for admins, clients of the private port, and every client with AUTH_MODE=open."""

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import URL

from graph.identity.scopes import Scope
from server.http.response_headers import DATA_POLICY
from tests.application import Client, serving
from tests.people import SIGNING, key_of, signed
from tests.server.cli.test_cli import COMMAND, environment
from tests.waiting import eventually_sync

DETAILS = ["/health/db", "/health/cache", "/health/detailed", "/metrics"]
PUBLIC = ["/health", "/livez", "/readyz"]
SUMMARY = "{ health { status service version environment timestamp uptimeSeconds data { newestCandleAt } } }"
PRIVATE_PORT = 9_100


async def test_details_are_for_admins(database_url: URL) -> None:
    keys: dict[Scope | None, str] = {scope: await key_of(database_url, scope) for scope in Scope}
    async with serving(database_url, **SIGNING) as client:
        for path in DETAILS:
            anonymous = await client.get(path)
            assert (anonymous.status_code, code(anonymous.json())) == (401, "UNAUTHENTICATED")
            assert anonymous.headers["www-authenticate"].startswith("Bearer ")
            for scope, status in ((Scope.READ, 403), (Scope.WRITE, 403), (Scope.ADMIN, 200)):
                answer = await client.get(path, headers=signed(keys[scope]))
                assert answer.status_code == status
                assert status == 200 or code(answer.json()) == "FORBIDDEN"
        for path in PUBLIC:
            assert (await client.get(path)).status_code == 200


async def test_so_it_is_in_the_graph(database_url: URL) -> None:
    reader, admin = await key_of(database_url, Scope.READ), await key_of(database_url, Scope.ADMIN)
    async with serving(database_url, **SIGNING) as client:
        assert (await client.data(SUMMARY))["health"]["status"] == "HEALTHY"
        for part in ("database { poolSize }", "cache { entries }", "plans { entries }"):
            query = {"query": f"{{ health {{ ...A }} }} fragment A on Health {{ status x: {part} }}"}
            # Twice: by a plan that is new, and by one that is kept.
            for _ in range(2):
                assert code((await client.post("/graphql", json=query)).json()) == "UNAUTHENTICATED"
                forbidden = await client.post("/graphql", json=query, headers=signed(reader))
                assert (code(forbidden.json()), forbidden.json()["data"]) == ("FORBIDDEN", None)
                assert "errors" not in (await client.post("/graphql", json=query, headers=signed(admin))).json()


@pytest.mark.parametrize("path", DETAILS)
async def test_where_all_is_open_so_are_they(client: Client, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_the_private_port_serves_details_and_nothing_else(demo_url: URL) -> None:
    async with serving(demo_url, **SIGNING, private_port=PRIVATE_PORT) as client:
        private = f"http://test:{PRIVATE_PORT}"
        for path in [*DETAILS, *PUBLIC]:
            answer = await client.get(private + path)
            assert answer.status_code == 200
            assert answer.headers["content-security-policy"] == DATA_POLICY[1].decode()
        for path in ("/graphql", "/", "/nowhere", "//graphql", "/health/../graphql"):
            assert (await client.post(private + path, json={"query": "{ __typename }"})).status_code == 404
            assert (await client.get(private + path)).status_code == 404
        assert (await client.post(f"{private}/metrics")).status_code == 405
        # No header decides which port it is.
        for name in ("host", "x-forwarded-port", "x-forwarded-host"):
            assert (await client.get("/metrics", headers={name: f"test:{PRIVATE_PORT}"})).status_code == 401


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_listens_on_both_ports(database_url: URL, tmp_path: Path, workers: str) -> None:
    port, private_port = free_ports()
    settings = {
        "DATABASE_URL": database_url.render_as_string(hide_password=False),
        "AUTH_MODE": "required",
        "PRIVATE_PORT": str(private_port),
    }
    log = tmp_path / "log"
    command = [*COMMAND, "serve", "--port", str(port), "--no-demo", "--workers", workers]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment() | settings, stdout=out, stderr=out)
    try:
        metrics = get_once_listening(process, log, f"http://127.0.0.1:{private_port}/metrics")
        assert (metrics.status_code, "server" in metrics.headers) == (200, False)
        assert httpx.post(f"http://127.0.0.1:{private_port}/graphql", json={}).status_code == 404
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 401
        assert f"http://127.0.0.1:{private_port}" in log.read_text()
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait(10)


def test_the_private_port_must_differ_from_the_public_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "serve", "--port", "8123"],
        cwd=tmp_path,
        env=environment() | {"PRIVATE_PORT": "8123"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "Error: PRIVATE_PORT must differ from 8123, the public port.\n"
    assert os.listdir(tmp_path) == []


def code(answer: dict[str, Any]) -> str:
    [error] = answer["errors"]
    found: str = error["extensions"]["code"]
    return found


def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (one, other)]


def get_once_listening(process: subprocess.Popen[bytes], log: Path, url: str) -> httpx.Response:
    """The response of a server that is starting."""

    def response() -> httpx.Response | None:
        assert process.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            return httpx.get(url, timeout=10)
        return None

    answer = eventually_sync(response, 60, every=0.1)
    assert answer is not None
    return answer
