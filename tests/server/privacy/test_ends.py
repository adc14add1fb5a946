"""How soon what proved who somebody is does so no more: at once, wherever answers come from."""

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from tests.application import Client, serving
from tests.server.privacy.asking import COIN, MINE, ask, assert_refused, heard
from tests.server.privacy.seen import fetch
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, by_key, by_token

ENDS = {
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
DEAF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND query LIKE '%pg_listening_channels%'"
)


@pytest.mark.parametrize("how", ["heard", "not heard", "without the cache"])
async def test_an_end_is_at_once(copies: Any, how: str) -> None:
    """By SQL, as anybody may write: of what was asked in the same bytes before, and answered from memory."""
    url = await copies()
    writer = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    async with serving(url, **REQUIRED, cache_enabled=how != "without the cache") as client:
        if how != "without the cache":
            await heard(client)
        for name, end in ENDS.items():
            askers = [by_key(1)] * (name in OF_KEYS) + [by_token(ANN)] * (name in OF_SESSIONS)
            async with contrary(writer):
                for asker in askers * 3:
                    assert (await ask(client, MINE, asker.authorization)).status_code == 200, name
                if how == "not heard":
                    await writer.execute(DEAF)
                await writer.execute(end)
                for asker in askers:
                    await refused_soon(client, asker.authorization)
                assert (await ask(client, MINE, by_token(BEN).authorization)).status_code == 200
    await writer.close()


class contrary:  # noqa: N801 - reads as a word
    """Undo at the end of the block what was done to Ann."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    async def __aenter__(self) -> None:
        await self._writer.execute("CREATE TEMP TABLE k AS TABLE api_keys; CREATE TEMP TABLE s AS TABLE sessions")

    async def __aexit__(self, *_: object) -> None:
        await self._writer.execute(
            "UPDATE users SET is_active = true; DELETE FROM api_keys; DELETE FROM sessions;"
            "INSERT INTO api_keys OVERRIDING SYSTEM VALUE TABLE k; INSERT INTO sessions TABLE s; DROP TABLE k, s"
        )
        await asyncio.sleep(0.05)


async def refused_soon(client: Client, authorization: str | None) -> None:
    """Within what a notification takes."""
    until = time.monotonic() + 0.25
    while (answer := await ask(client, MINE, authorization)).status_code == 200:
        assert time.monotonic() < until
        await asyncio.sleep(0)
    assert_refused(answer)
    assert_refused(await ask(client, COIN, authorization))


async def test_an_end_by_a_mutation_is_at_the_next_request(copies: Any) -> None:
    async with serving(await copies(), **REQUIRED) as client:
        await heard(client)
        for asker in (by_key(1), by_token(ANN)) * 2:
            assert (await ask(client, MINE, asker.authorization)).status_code == 200
        keys = (await ask(client, "{ viewer { apiKeys { nodes { id } } } }", by_token(ANN).authorization)).json()
        id_ = keys["data"]["viewer"]["apiKeys"]["nodes"][0]["id"]
        revoke = f'mutation {{ revokeApiKey(input: {{id: "{id_}"}}) {{ userErrors {{ code }} }} }}'
        assert (await ask(client, revoke, by_token(ANN).authorization)).json() == {
            "data": {"revokeApiKey": {"userErrors": []}}
        }
        assert_refused(await ask(client, MINE, by_key(1).authorization))
        out = await ask(client, "mutation { logout(input: {}) { signedOut } }", by_token(ANN).authorization)
        assert out.json() == {"data": {"logout": {"signedOut": True}}}
        assert_refused(await ask(client, MINE, by_token(ANN).authorization))


async def test_who_is_no_administrator_any_more_sees_less(copies: Any) -> None:
    url = await copies()
    query = "{ trades { totalCount } }"
    async with serving(url, **REQUIRED) as client:
        await heard(client)
        for asker in (by_token(ROOT), by_key(6)) * 2:
            assert (await ask(client, query, asker.authorization)).json() == {"data": {"trades": {"totalCount": 25}}}
        await fetch(url, "UPDATE users SET is_admin = false WHERE username = 'root'")
        await asyncio.sleep(0.1)
        for asker in (by_token(ROOT), by_key(6)):
            assert (await ask(client, query, asker.authorization)).json() == {"data": {"trades": {"totalCount": 7}}}
