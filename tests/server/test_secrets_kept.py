"""No secret is logged, at any level, and whatever fails."""

import sys
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from graph.identity.passwords import Passwords
from graph.identity.random_secrets import hash_of
from graph.identity.scopes import Scope
from tests.application import Client, serving
from tests.people import PRODUCTION, SECRET_KEY, key_of, signed

PASSWORD, WRONG_PASSWORD = "correct horse battery", "incorrect donkey accumulator"
BASIC = "Basic c2VjcmV0OnNlY3JldA=="
LOGIN = """
mutation ($username: String!, $password: String!) {
  login(input: { username: $username, password: $password }) { accessToken refreshToken userErrors { code } }
}
"""
REFRESH = "mutation ($token: String!) { refresh(input: { refreshToken: $token }) { accessToken refreshToken } }"
CREATE_KEY = 'mutation { createApiKey(input: { name: "a", scopes: [READ] }) { secret userErrors { code } } }'
MINE = "{ viewer { username } trades { totalCount } }"


async def test_no_secret_is_logged(database_url: URL, capfd: pytest.CaptureFixture[str]) -> None:
    password_hash = await Passwords().hash(PASSWORD)
    key = await key_of(database_url, Scope.ADMIN, "alice", password_hash)
    secrets = [PASSWORD, WRONG_PASSWORD, password_hash, SECRET_KEY, BASIC, "c2VjcmV0", key]
    async with serving(database_url, **PRODUCTION, debug=True, log_level="DEBUG") as client:
        session = (await client.data(LOGIN, username="alice", password=PASSWORD))["login"]
        made = (
            await client.post("/graphql", json={"query": CREATE_KEY}, headers=signed(session["accessToken"]))
        ).json()
        secrets += [session["accessToken"], session["refreshToken"], made["data"]["createApiKey"]["secret"]]
        secrets += (await client.data(REFRESH, token=session["refreshToken"]))["refresh"].values()
        await use(client, [key, *secrets[-5:]])
        await misuse(client)
        async with broken(database_url):
            failed = await client.ask(LOGIN, username="alice", password=PASSWORD)
            assert failed["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
            for token in secrets[-5:]:
                await client.ask(REFRESH, token=token)
            await use(client, secrets[-5:])
    sys.stderr.flush()
    logged = "".join(capfd.readouterr())
    # At this level all is logged: statements, sign-ins, and the unexpected error with its cause.
    for expected in ("INSERT INTO sessions", "signed_in", "unexpected_error", failed["errors"][0]["extensions"]["id"]):
        assert expected in logged
    hashes = [form for secret in secrets for form in (hash_of(secret).hex(), repr(hash_of(secret))[2:-1])]
    assert [secret for secret in [*secrets, *hashes] if secret in logged] == []
    assert "$argon2" not in logged


async def use(client: Client, tokens: list[str]) -> None:
    for token in tokens:
        await client.post("/graphql", json={"query": MINE}, headers=signed(token))
        await client.get("/health/detailed", headers=signed(token))


async def misuse(client: Client) -> None:
    """Requests that are rejected for several reasons, with a secret in each."""
    await client.get("/graphql", headers={"authorization": BASIC})
    await client.ask(LOGIN, username="alice", password=WRONG_PASSWORD)
    await client.ask(LOGIN, username="ali\0ce", password=WRONG_PASSWORD)
    await client.ask(LOGIN, username=5, password=[WRONG_PASSWORD])
    for rest in ("{ nonsense }", "{", '@include(if: "x")'):
        await client.ask(f'mutation {{ login(input: {{ username: "alice", password: "{WRONG_PASSWORD}" }}) {rest} }}')
    await client.get(
        "/graphql", params={"query": f'{{ a(b: "{WRONG_PASSWORD}") }}'}, headers={"graphql-preflight": "1"}
    )


class broken:  # noqa: N801 - reads as a sentence
    """While the block runs, the table of sessions lacks a column."""

    def __init__(self, url: URL) -> None:
        self._database = Database(url, pool_size=1)

    async def __aenter__(self) -> None:
        await self._run("ALTER TABLE sessions RENAME COLUMN token_hash TO gone")

    async def __aexit__(self, *_: Any) -> None:
        await self._run("ALTER TABLE sessions RENAME COLUMN gone TO token_hash")
        await self._database.close()

    async def _run(self, statement: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(text(statement))
