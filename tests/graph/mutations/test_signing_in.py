"""Sessions and keys, as clients have them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import URL, text

from db.engine import Database
from db.writes import users
from graph.identity.passwords import Passwords
from graph.identity.scopes import Scope
from tests.application import Client, serving
from tests.graph.mutations.asking import attempt, mutate, new_name, refused, signed_in
from tests.people import SIGNING, signed

PASSWORD = "a password that is long enough"
WHO = "{ viewer { username } }"


@pytest.fixture
async def client(written_url: URL) -> AsyncIterator[Client]:
    async with serving(written_url, **SIGNING) as client:
        yield client


@pytest.fixture
async def username(written_url: URL) -> str:
    name = new_name()
    passwords, database = Passwords(), Database(written_url, pool_size=1)
    stored = await passwords.hash(PASSWORD)
    async with database.transaction() as connection:
        await users.create(connection, username=name, password_hash=stored)
    await database.close()
    passwords.close()
    return name


async def login(client: Client, username: str) -> dict[str, Any]:
    selection = "accessToken refreshToken expiresIn user { username }"
    session: dict[str, Any] = await mutate(client, "login", selection, username=username, password=PASSWORD)
    return session


async def who(client: Client, token: str) -> Any:
    response = await client.post("/graphql", json={"query": WHO}, headers=signed(token))
    return response.json()["data"]["viewer"]["username"] if response.status_code == 200 else response.status_code


async def test_a_session(client: Client, username: str) -> None:
    session = await login(client, username.upper())
    assert (session["user"], session["expiresIn"]) == ({"username": username}, 600)
    assert await who(client, session["accessToken"]) == username
    refresh = "accessToken refreshToken user { username }"
    second = await mutate(client, "refresh", refresh, refreshToken=session["refreshToken"])
    assert (await who(client, second["accessToken"]), second["user"]) == (username, {"username": username})
    client.headers.update(signed(second["accessToken"]))
    assert await mutate(client, "logout", "signedOut") == {"signedOut": True}
    del client.headers["authorization"]
    assert [await who(client, each["accessToken"]) for each in (session, second)] == [401, 401]
    assert await refused(client, "refresh", refreshToken=second["refreshToken"]) == [("SIGNED_OUT", "")]


async def test_a_refresh_token_that_comes_again_ends_the_session(client: Client, username: str) -> None:
    session, other = await login(client, username), await login(client, username)
    second = await mutate(client, "refresh", "accessToken refreshToken", refreshToken=session["refreshToken"])
    assert await refused(client, "refresh", refreshToken=session["refreshToken"]) == [("SIGNED_OUT", "")]
    assert await refused(client, "refresh", refreshToken=second["refreshToken"]) == [("SIGNED_OUT", "")]
    assert await who(client, second["accessToken"]) == 401
    assert await who(client, other["accessToken"]) == username


async def test_all_sessions_end_at_once(client: Client, username: str) -> None:
    sessions = [await login(client, username) for _ in range(2)]
    client.headers.update(signed(sessions[0]["accessToken"]))
    await mutate(client, "logout", "signedOut", everywhere=True)
    del client.headers["authorization"]
    assert [await who(client, session["accessToken"]) for session in sessions] == [401, 401]


async def test_what_was_wrong_is_not_told(client: Client, username: str) -> None:
    answers = [
        await attempt(client, "login", "accessToken user { id }", username=name, password=password)
        for name, password in ((username, "wrong password"), (new_name(), PASSWORD), ("demo", PASSWORD), ("\0", ""))
    ]
    assert all(answer == answers[0] for answer in answers)
    assert [error["code"] for error in answers[0]["userErrors"]] == ["INVALID_CREDENTIALS"]


async def test_passwords_are_not_found_by_trying(client: Client, username: str) -> None:
    codes = [(await refused(client, "login", username=username, password="wrong password"))[0][0] for _ in range(12)]
    assert codes == ["INVALID_CREDENTIALS"] * 10 + ["TOO_MANY_ATTEMPTS"] * 2
    assert await refused(client, "login", username=username, password=PASSWORD) == [("TOO_MANY_ATTEMPTS", "")]
    # Others sign in as ever, from the same address too.
    assert await refused(client, "login", username=new_name(), password=PASSWORD) == [("INVALID_CREDENTIALS", "")]


async def test_who_signs_in_rightly_does_so_as_often_as_they_like(client: Client, username: str) -> None:
    for _ in range(12):
        await login(client, username)


async def test_a_user_who_is_disabled_is_out_at_once(client: Client, username: str, written_url: URL) -> None:
    session = await login(client, username)
    assert await who(client, session["accessToken"]) == username
    database = Database(written_url, pool_size=1)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE users SET is_active = false WHERE username = :n"), {"n": username})
    await database.close()
    assert await refused(client, "login", username=username, password=PASSWORD) == [("INVALID_CREDENTIALS", "")]
    assert await who(client, session["accessToken"]) == 401


async def test_keys_of_programs(alice: Client) -> None:
    made = await mutate(
        alice, "createApiKey", "secret apiKey { id name prefix scopes lastUsedAt }", name="feed", scopes=["READ"]
    )
    key = made["apiKey"]
    assert made["secret"].startswith(f"cg_{key['prefix']}_")
    assert (key["name"], key["scopes"], key["lastUsedAt"]) == ("feed", ["READ"], None)
    username = (await alice.data(WHO))["viewer"]["username"]
    assert await who(alice, made["secret"]) == username
    used = await alice.data("{ viewer { apiKeys(last: 1) { nodes { id lastUsedAt } } } }")
    assert used["viewer"]["apiKeys"]["nodes"][0]["lastUsedAt"] is not None
    revoked = await mutate(alice, "revokeApiKey", "apiKey { revokedAt }", id=key["id"])
    assert revoked["apiKey"]["revokedAt"] is not None
    assert await who(alice, made["secret"]) == 401


async def test_a_key_may_not_do_more_than_who_makes_it(alice: Client, bob: Client, written_url: URL) -> None:
    assert await refused(alice, "createApiKey", name="x", scopes=["ADMIN"]) == [("FORBIDDEN", "scopes")]
    assert await refused(alice, "createApiKey", name="x", scopes=[]) == [("INVALID_SCOPES", "scopes")]
    assert await refused(alice, "createApiKey", name="x", scopes=["READ"], expiresAt="now-1h") == [
        ("INVALID_TIME", "expiresAt")
    ]
    made = await mutate(alice, "createApiKey", "apiKey { id }", name="x", scopes=["READ"])
    assert await refused(bob, "revokeApiKey", id=made["apiKey"]["id"]) == [("NOT_FOUND", "id")]
    async with signed_in(written_url, Scope.ADMIN) as root:
        await mutate(root, "revokeApiKey", "", id=made["apiKey"]["id"])
