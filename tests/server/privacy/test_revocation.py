"""Revoked credentials are rejected at once, whatever answers are cached."""

from typing import Any

import asyncpg
import httpx
import pytest

from tests.application import Client, serving
from tests.server.privacy.requests import COIN, VIEWER_TRADES, ask, assert_unauthenticated, wait_until_listening
from tests.server.privacy.visibility import fetch
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, by_key, by_token
from tests.waiting import eventually

REVOCATIONS = {
    "revoked": "UPDATE api_keys SET revoked_at = now() WHERE user_id = 1",
    "over": "UPDATE api_keys SET expires_at = now() WHERE user_id = 1",
    "deleted": "DELETE FROM api_keys WHERE user_id = 1",
    "signed out": "UPDATE sessions SET revoked_at = now() WHERE user_id = 1",
    "session over": "UPDATE sessions SET expires_at = now() WHERE user_id = 1",
    "session deleted": "DELETE FROM sessions WHERE user_id = 1",
    "disabled": "UPDATE users SET is_active = false WHERE user_id = 1",
}
OF_KEYS, OF_SESSIONS = (
    {"revoked", "over", "deleted", "disabled"},
    {"signed out", "session over", "session deleted", "disabled"},
)
STOP_LISTENING = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND query LIKE '%pg_listening_channels%'"
)


@pytest.mark.parametrize("how", ["listening", "not listening", "without the cache"])
async def test_a_revocation_by_sql_is_effective_at_once(copies: Any, how: str) -> None:
    """By SQL of another client, for requests of equal bytes that were answered from memory before."""
    url = await copies()
    writer = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    async with serving(url, **REQUIRED, cache_enabled=how != "without the cache") as client:
        if how != "without the cache":
            await wait_until_listening(client)
        for name, end in REVOCATIONS.items():
            principals = [by_key(1)] * (name in OF_KEYS) + [by_token(ANN)] * (name in OF_SESSIONS)
            async with Restored(writer):
                for principal in principals:
                    await until_authenticated(client, principal.authorization)
                for principal in principals * 3:
                    assert (await ask(client, VIEWER_TRADES, principal.authorization)).status_code == 200, name
                if how == "not listening":
                    await writer.execute(STOP_LISTENING)
                await writer.execute(end)
                for principal in principals:
                    await until_unauthenticated(client, principal.authorization)
                assert (await ask(client, VIEWER_TRADES, by_token(BEN).authorization)).status_code == 200
    await writer.close()


class Restored:
    """Restores users, keys and sessions at the end of the block."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    async def __aenter__(self) -> None:
        await self._writer.execute("CREATE TEMP TABLE k AS TABLE api_keys; CREATE TEMP TABLE s AS TABLE sessions")

    async def __aexit__(self, *_: object) -> None:
        await self._writer.execute(
            "UPDATE users SET is_active = true; DELETE FROM api_keys; DELETE FROM sessions;"
            "INSERT INTO api_keys OVERRIDING SYSTEM VALUE TABLE k; INSERT INTO sessions TABLE s; DROP TABLE k, s"
        )


async def until_authenticated(client: Client, authorization: str | None) -> None:
    """Wait until the restored rows are seen."""

    async def accepted() -> bool:
        return (await ask(client, VIEWER_TRADES, authorization)).status_code == 200

    await eventually(accepted)


async def until_unauthenticated(client: Client, authorization: str | None) -> None:
    """Wait for the time that a notification takes."""

    async def rejected() -> httpx.Response | None:
        answer = await ask(client, VIEWER_TRADES, authorization)
        return None if answer.status_code == 200 else answer

    answer = await eventually(rejected, 0.25, every=0)
    assert answer is not None
    assert_unauthenticated(answer)
    assert_unauthenticated(await ask(client, COIN, authorization))


async def test_a_revocation_by_a_mutation_is_effective_at_the_next_request(copies: Any) -> None:
    async with serving(await copies(), **REQUIRED) as client:
        await wait_until_listening(client)
        for principal in (by_key(1), by_token(ANN)) * 2:
            assert (await ask(client, VIEWER_TRADES, principal.authorization)).status_code == 200
        keys = (await ask(client, "{ viewer { apiKeys { nodes { id } } } }", by_token(ANN).authorization)).json()
        id_ = keys["data"]["viewer"]["apiKeys"]["nodes"][0]["id"]
        revoke = f'mutation {{ revokeApiKey(input: {{id: "{id_}"}}) {{ userErrors {{ code }} }} }}'
        assert (await ask(client, revoke, by_token(ANN).authorization)).json() == {
            "data": {"revokeApiKey": {"userErrors": []}}
        }
        assert_unauthenticated(await ask(client, VIEWER_TRADES, by_key(1).authorization))
        out = await ask(client, "mutation { logout(input: {}) { signedOut } }", by_token(ANN).authorization)
        assert out.json() == {"data": {"logout": {"signedOut": True}}}
        assert_unauthenticated(await ask(client, VIEWER_TRADES, by_token(ANN).authorization))


async def test_a_former_administrator_sees_their_own_rows_only(copies: Any) -> None:
    url = await copies()
    query = "{ trades { totalCount } }"
    async with serving(url, **REQUIRED) as client:
        await wait_until_listening(client)
        for principal in (by_token(ROOT), by_key(6)) * 2:
            assert (await ask(client, query, principal.authorization)).json() == {
                "data": {"trades": {"totalCount": 25}}
            }
        await fetch(url, "UPDATE users SET is_admin = false WHERE username = 'root'")
        for principal in (by_token(ROOT), by_key(6)):

            async def sees_own_rows(authorization: str | None = principal.authorization) -> bool:
                return bool((await ask(client, query, authorization)).json() == {"data": {"trades": {"totalCount": 7}}})

            await eventually(sees_own_rows)
