"""login, refresh and logout."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import URL, text

from cache.buckets import Buckets
from db.writes import users
from db.writes.validation import ValidationError
from graph.identity.access_tokens import AccessTokens
from graph.identity.accounts import Accounts
from graph.identity.passwords import MAX_WAITING, THREADS, Passwords
from graph.identity.throttle import Throttle
from tests.graph.mutations.people import People, Person, people, person
from tests.waiting import eventually

LOGIN = """mutation($input: LoginInput!) { login(input: $input) {
  userErrors { field message code } accessToken refreshToken expiresIn user { username isAdmin } } }"""
REFRESH = """mutation($input: RefreshInput!) { refresh(input: $input) {
  userErrors { field message code } accessToken refreshToken expiresIn user { username } } }"""
LOGOUT = """mutation($input: LogoutInput!) { logout(input: $input) { userErrors { code } signedOut } }"""
WHO = "{ viewer { username strategies { totalCount } } }"
PASSWORD = "correct horse battery"
CREDENTIALS = {"username": "Carol", "password": PASSWORD}
WRONG = [("", "INVALID_CREDENTIALS")]


@pytest.fixture
async def all_(database_url: URL) -> AsyncIterator[People]:
    """The usual clients, and two more users with one password: carol is active, dave is disabled."""
    async with people(database_url) as found:
        passwords = Passwords()
        hashed = await passwords.hash(PASSWORD)
        passwords.close()
        async with found.database.transaction() as connection:
            await users.create(connection, username="carol", password_hash=hashed)
            dave = await users.create(connection, username="dave", password_hash=hashed)
            await users.disable(connection, dave)
        yield found


async def signed_in(all_: People) -> tuple[Person, str]:
    """A client with an access token of carol, and the refresh token."""
    payload = (await all_.anonymous.data(LOGIN, input=CREDENTIALS))["login"]
    assert payload["userErrors"] == []
    return person(all_.app, payload["accessToken"]), payload["refreshToken"]


async def refreshed(all_: People, token: str) -> dict[str, Any]:
    payload: dict[str, Any] = (await all_.anonymous.data(REFRESH, input={"refreshToken": token}))["refresh"]
    return payload


async def is_authenticated(one: Person) -> bool:
    response = await one.post("/graphql", json={"query": WHO})
    assert response.status_code in (200, 401)
    if response.status_code == 401:
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        return False
    assert response.json()["data"]["viewer"] == {"username": "carol", "strategies": {"totalCount": 0}}
    return True


async def test_login_refresh_and_logout(all_: People) -> None:
    payload = (await all_.anonymous.data(LOGIN, input=CREDENTIALS))["login"]
    assert payload["user"] == {"username": "carol", "isAdmin": False}
    assert payload["expiresIn"] == 600
    carol = person(all_.app, payload["accessToken"])
    assert await is_authenticated(carol)
    again = await refreshed(all_, payload["refreshToken"])
    assert again["userErrors"] == []
    assert again["user"] == {"username": "carol"}
    assert again["refreshToken"] != payload["refreshToken"]
    later = person(all_.app, again["accessToken"])
    assert await is_authenticated(later)
    assert (await later.data(LOGOUT, input={}))["logout"] == {"userErrors": [], "signedOut": True}
    # All tokens of the session are invalid at once.
    assert not await is_authenticated(later)
    assert not await is_authenticated(carol)
    assert (await refreshed(all_, again["refreshToken"]))["userErrors"][0]["code"] == "SIGNED_OUT"
    assert (await all_.anonymous.data(LOGOUT, input={}))["logout"]["signedOut"] is False


async def test_a_used_refresh_token_ends_the_session(all_: People) -> None:
    carol, first = await signed_in(all_)
    other, _ = await signed_in(all_)
    second = await refreshed(all_, first)
    later = person(all_.app, second["accessToken"])
    assert await is_authenticated(later)
    assert (await refreshed(all_, first))["userErrors"][0]["code"] == "SIGNED_OUT"
    # The newer tokens are invalid as well, at once.
    assert not await is_authenticated(later)
    assert not await is_authenticated(carol)
    assert (await refreshed(all_, second["refreshToken"]))["userErrors"][0]["code"] == "SIGNED_OUT"
    assert await is_authenticated(other)


async def test_two_concurrent_refreshes_end_the_session(all_: People) -> None:
    _, token = await signed_in(all_)
    payloads = await asyncio.gather(refreshed(all_, token), refreshed(all_, token))
    won = [payload for payload in payloads if payload["accessToken"]]
    assert len(won) == 1
    assert not await is_authenticated(person(all_.app, won[0]["accessToken"]))


async def test_logout_everywhere_ends_all_sessions_of_the_user(all_: People) -> None:
    (one, _), (other, _) = await signed_in(all_), await signed_in(all_)
    assert (await one.data(LOGOUT, input={"everywhere": True}))["logout"]["signedOut"] is True
    assert [await is_authenticated(one), await is_authenticated(other)] == [False, False]
    assert (await all_.ann.data(LOGOUT, input={}))["logout"]["signedOut"] is False


async def test_disabling_a_user_ends_the_sessions(all_: People) -> None:
    carol, token = await signed_in(all_)
    assert await is_authenticated(carol)
    async with all_.database.transaction() as connection:
        await connection.execute(text("UPDATE users SET is_active = false WHERE username = 'carol'"))

    async def is_ended() -> bool:
        return not await is_authenticated(carol)

    await eventually(is_ended)
    assert (await refreshed(all_, token))["userErrors"][0]["code"] == "SIGNED_OUT"


WRONG_CREDENTIALS = [
    {"username": "carol", "password": "not her password"},
    {"username": "nobody", "password": PASSWORD},
    {"username": "dave", "password": PASSWORD},
    # A user without a password.
    {"username": "ann", "password": "!"},
    {"username": "a\0", "password": PASSWORD},
    {"username": "", "password": ""},
    {"username": "carol", "password": "\0" * 100_000},
    {"username": "n" * 300_000, "password": "\N{LATIN SMALL LIGATURE FFI}" * 100_000},
]


async def test_all_wrong_credentials_get_the_same_response(all_: People) -> None:
    answers = [await all_.anonymous.ask(LOGIN, input=credentials) for credentials in WRONG_CREDENTIALS]
    assert answers == [answers[0]] * len(WRONG_CREDENTIALS)
    payload = answers[0]["data"]["login"]
    assert (payload["userErrors"][0]["code"], payload["accessToken"], payload["user"]) == (
        "INVALID_CREDENTIALS",
        None,
        None,
    )
    for token in ("", "\0", "cgr_", f"cgr_{'0' * 32}_{'0' * 64}"):
        assert (await refreshed(all_, token))["userErrors"][0]["code"] == "SIGNED_OUT"


async def test_unknown_users_take_as_long_as_wrong_passwords() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(PASSWORD)
    durations: dict[str | None, list[float]] = {hashed: [], None: [], users.NO_PASSWORD: []}
    for _ in range(3):
        for stored, times in durations.items():
            started = time.perf_counter()
            assert not (await passwords.verify("wrong password", stored)).ok
            times.append(time.perf_counter() - started)
    passwords.close()
    medians = [min(times) for times in durations.values()]
    # Without hashing it would take a thousandth of the time.
    assert max(medians) < 3 * min(medians)


async def test_login_attempts_are_limited(all_: People) -> None:
    wrong = {"username": "carol", "password": "wrong password"}
    for _ in range(10):
        assert await all_.anonymous.errors(LOGIN, input=wrong) == WRONG
    # The right password is rejected as well, and the name in another case.
    for credentials in (wrong, CREDENTIALS, {**CREDENTIALS, "username": "CAROL"}):
        payload = (await all_.anonymous.data(LOGIN, input=credentials))["login"]
        assert payload["userErrors"][0]["code"] == "TOO_MANY_ATTEMPTS"
    assert await all_.anonymous.errors(LOGIN, input={**wrong, "username": "dave"}) == WRONG


async def test_too_many_concurrent_logins_are_rejected(all_: People) -> None:
    passwords = Passwords()
    accounts = Accounts(AccessTokens(["secret"]), Throttle(Buckets(None)), passwords)
    for _ in range(THREADS + MAX_WAITING):
        passwords._slots.acquire()
    # They do not count as attempts.
    for _ in range(20):
        with pytest.raises(ValidationError) as rejected:
            await accounts.login(all_.database, "address", "carol", PASSWORD)
        assert [problem.code for problem in rejected.value.errors] == ["TOO_MANY_ATTEMPTS"]
    passwords._slots.release()
    assert (await accounts.login(all_.database, "address", "carol", PASSWORD)).access_token
    passwords.close()


async def test_a_hash_with_weaker_parameters_is_replaced_at_login(all_: People) -> None:
    weak = "$argon2id$v=19$m=512,t=1,p=1$"
    async with all_.database.transaction() as connection:
        await connection.execute(
            text("UPDATE users SET password_hash = :hash WHERE username = 'carol'"), {"hash": _weak_hash()}
        )
    await signed_in(all_)
    async with all_.database.transaction() as connection:
        stored = (
            await connection.execute(text("SELECT password_hash FROM users WHERE username = 'carol'"))
        ).scalar_one()
    assert not stored.startswith(weak)
    await signed_in(all_)


def _weak_hash() -> str:
    return Argon2Hasher(time_cost=1, memory_cost=512, parallelism=1).hash(PASSWORD)
