"""Authentication of requests: valid and invalid credentials."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import URL, Engine, event

from graph.identity.access_tokens import AccessTokens
from tests.application import Client, serving
from tests.server.privacy.requests import COIN, VIEWER, VIEWER_TRADES, ask, assert_unauthenticated, wait_until_listening
from tests.server.privacy.visibility import fetch
from tests.server.privacy.world import (
    ANN,
    BEN,
    REQUIRED,
    ROOT,
    SECRET,
    access_token,
    api_key,
    by_key,
    by_token,
    session_of,
)
from tests.waiting import eventually

MODES = {"required": {"auth_mode": "required"}, "open": {"auth_mode": "open"}}
TOKEN = access_token(ANN)
HEAD, CLAIMS, SIGNATURE = TOKEN.split(".")


def forged(**changes: Any) -> str:
    """A token with a valid signature, and other claims than ours."""
    tokens = AccessTokens([SECRET])
    claims = jwt.decode(TOKEN, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, tokens._keys[tokens._kid], "HS256", {"kid": tokens._kid})


INVALID = {
    "nothing": b"",
    "no token": b"Bearer",
    "an empty token": b"Bearer ",
    "another scheme": b"Basic " + TOKEN.encode(),
    "no scheme": TOKEN.encode(),
    "not ASCII": b"\xff\xfe\x80 \x81",
    "a token that is not ASCII": b"Bearer \xff\xfe\x80",
    "huge": b"Bearer " + b"x" * 100_000,
    "large": b"Bearer " + b"x" * 1_999,
    "brackets": b"Bearer " + b"[" * 1_500,
    "dots": b"Bearer " + b"." * 1_500,
    "an unknown key": f"Bearer {api_key(99)}".encode(),
    "a key in capitals": f"Bearer {api_key(11).upper()}".encode(),
    "half a key": f"Bearer {api_key(1)[:-1]}".encode(),
    "two tokens": f"Bearer {TOKEN} {TOKEN}".encode(),
    "an unsigned token": f"Bearer {HEAD}.{CLAIMS}.".encode(),
    "another signature": f"Bearer {HEAD}.{CLAIMS}.{SIGNATURE[::-1]}".encode(),
    "other claims": f"Bearer {HEAD}.{access_token(ROOT).split('.')[1]}.{SIGNATURE}".encode(),
    "no algorithm": b"Bearer " + jwt.encode({"sub": "1"}, None, "none").encode(),
    "another secret": b"Bearer "
    + AccessTokens(["another secret of 32 characters!"]).issue(ANN, session_of(ANN)).encode(),
    "an old token": b"Bearer " + AccessTokens([SECRET], lifetime_seconds=-9).issue(ANN, session_of(ANN)).encode(),
    "another issuer": f"Bearer {forged(iss='other')}".encode(),
    "another audience": f"Bearer {forged(aud='other')}".encode(),
    "two audiences": f"Bearer {forged(aud=['candlegraph', 'other'])}".encode(),
    "no end": f"Bearer {forged(exp=None)}".encode(),
    "no session": f"Bearer {forged(sid=None)}".encode(),
    "no such session": f"Bearer {forged(sid='0' * 32)}".encode(),
    "a malformed session": f"Bearer {forged(sid='x')}".encode(),
    "the session of another user": f"Bearer {forged(sub=str(ROOT))}".encode(),
    "a user beyond bigint": f"Bearer {forged(sub=str(2**63))}".encode(),
    "a malformed user": f"Bearer {forged(sub='ann')}".encode(),
    "from the future": f"Bearer {forged(iat=int(time.time()) + 1000)}".encode(),
}


@pytest.fixture
async def server(world_url: URL) -> AsyncIterator[Client]:
    async with serving(world_url, **REQUIRED) as client:
        await wait_until_listening(client)
        yield client


@contextmanager
def lookups() -> Iterator[list[str]]:
    """Statements that look up keys or sessions, in any database."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "api_keys" in statement or "sessions" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield found
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("mode", MODES)
async def test_invalid_credentials_are_rejected(world_url: URL, mode: str) -> None:
    """Even for public rows that are cached; and the answer repeats nothing of the credentials."""
    async with serving(world_url, secret_key=SECRET, **MODES[mode]) as client:
        await wait_until_listening(client)
        for what, value in INVALID.items():
            answer = await client.post("/graphql", json={"query": COIN}, headers={b"authorization": value})
            assert_unauthenticated(answer)
            assert len(answer.content) < 200, what
        pair = ("authorization", f"Bearer {TOKEN}")
        assert_unauthenticated(await client.post("/graphql", json={"query": COIN}, headers=[pair, pair]))
        assert_unauthenticated(
            await client.get("/graphql", params={"query": COIN}, headers={"authorization": "Basic x"})
        )


async def test_valid_credentials(server: Client) -> None:
    for principal in (by_token(ANN), by_key(1), by_key(2)):
        assert (await ask(server, VIEWER, principal.authorization)).json()["data"] == {"viewer": {"username": "ann"}}
    for scheme in ("bearer ", "BEARER ", "Bearer  "):
        assert (await ask(server, VIEWER, scheme + TOKEN)).json()["data"] == {"viewer": {"username": "ann"}}
    assert (await ask(server, VIEWER, None)).json()["data"] == {"viewer": None}


async def test_signing_keys_are_rotated(world_url: URL) -> None:
    new = "the next secret of the matrix, long enough"
    async with serving(world_url, auth_mode="required", secret_key=new, secret_key_previous=SECRET) as client:
        for token in (TOKEN, AccessTokens([new]).issue(ANN, session_of(ANN))):
            assert (await ask(client, VIEWER, f"Bearer {token}")).json()["data"] == {"viewer": {"username": "ann"}}
    async with serving(world_url, auth_mode="required", secret_key=new) as client:
        assert_unauthenticated(await ask(client, VIEWER, f"Bearer {TOKEN}"))


async def test_a_caller_is_looked_up_once(server: Client) -> None:
    for principal in (by_token(BEN), by_key(3)):
        with lookups() as statements:
            await ask(server, VIEWER, principal.authorization)
            first = len(statements)
            for query in (VIEWER, VIEWER_TRADES, COIN, VIEWER):
                assert (await ask(server, query, principal.authorization)).status_code == 200
        assert 1 <= first <= 2
        assert len(statements) == first, statements


async def test_the_last_use_is_written_once_a_minute(copies: Any) -> None:
    """The write drops no cached answer and no cached caller."""
    url = await copies()
    key = by_key(1).authorization
    noted = "SELECT last_used_at FROM api_keys WHERE key_id = 1"
    await fetch(url, "UPDATE api_keys SET last_used_at = now() - interval '20 seconds'")
    (before,) = await fetch(url, noted)
    async with serving(url, **REQUIRED) as client:
        await wait_until_listening(client)
        for _ in range(2):
            await ask(client, VIEWER_TRADES, key)
        assert await fetch(url, noted) == [before]
    await fetch(url, "UPDATE api_keys SET last_used_at = now() - interval '1 hour'")
    async with serving(url, **REQUIRED) as client:
        await wait_until_listening(client)
        # Another caller with the same rows fills the cache.
        for _ in range(2):
            await ask(client, VIEWER_TRADES, by_token(ANN).authorization)
        with lookups() as statements:
            assert (await ask(client, VIEWER_TRADES, key)).headers["x-cache"].startswith("hit-memory")
            (after,) = await fetch(url, noted)
            assert after > before
            # Notifications arrive in the order of their commits: after this one, any of the key's would have arrived.
            await fetch(url, "UPDATE cryptocurrencies SET name = 'Marker' WHERE symbol = 'AAA'")

            async def is_marked() -> bool:
                return "Marker" in (await ask(client, COIN, None)).text

            await eventually(is_marked)
            number = len(statements)
            assert (await ask(client, VIEWER_TRADES, key)).headers["x-cache"].startswith("hit-memory")
            assert len(statements) == number
        assert await fetch(url, noted) == [after]


async def test_without_the_database_callers_are_not_rejected(copies: Any, postgres: URL) -> None:
    """The answer is 503: valid credentials stay valid, so clients need not sign in again."""
    url = await copies()
    async with serving(url, **REQUIRED) as client:
        await wait_until_listening(client)
        await fetch(postgres, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false")
        await fetch(
            postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{url.database}'"
        )
        for principal in (by_token(ANN), by_key(1)):

            async def unavailable(authorization: str | None = principal.authorization) -> httpx.Response | None:
                answer = await ask(client, COIN, authorization)
                assert answer.status_code != 401
                return answer if answer.status_code == 503 else None

            answer = await eventually(unavailable)
            assert answer is not None
            assert answer.json()["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
            assert "www-authenticate" not in answer.headers
        assert_unauthenticated(await ask(client, COIN, "Bearer nonsense"))
        await fetch(postgres, f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true")
        assert (await ask(client, VIEWER, by_token(ANN).authorization)).json()["data"] == {
            "viewer": {"username": "ann"}
        }
