"""Writes of users and their effects on sessions."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.queries import users as queries
from db.writes import sessions, users
from db.writes.validation import ValidationError
from tests.db.locks import until_waiting_for_a_lock

HASH, OTHER = "hash", "another hash"
TOKEN = b"t" * 32
DAY = timedelta(days=1)


@pytest.fixture
def database(people: Database) -> Database:
    return people


async def created(database: Database, username: str = "ada", **values: str | bool) -> int:
    async with database.transaction() as connection:
        return await users.create(connection, username=username, password_hash=HASH, **values)  # type: ignore[arg-type]


async def rejection(database: Database, username: str, email: str | None = None) -> tuple[str, str]:
    async with database.transaction() as connection:
        with pytest.raises(ValidationError) as raised:
            await users.create(connection, username=username, password_hash=HASH, email=email)
        # The transaction is still usable.
        await connection.execute(text("SELECT 1"))
    return raised.value.errors[0].field[0], raised.value.errors[0].code


async def begin_session(connection: AsyncConnection, user_id: int, verified: str = HASH) -> bool:
    session_id = await sessions.begin(connection, user_id, verified=verified, token_hash=TOKEN, lifetime=DAY)
    return session_id is not None


async def test_user_names_are_case_insensitive(database: Database) -> None:
    ada = await created(database, "Ada.L-1_", email="ada@example.com")
    admin = await created(database, "boss", is_admin=True)
    assert ada != admin
    for name in ("Ada.L-1_", "ada.l-1_", "ADA.L-1_"):
        assert await database.fetch_rows(queries.for_login(name)) == [(ada, HASH, True)]
        assert await database.fetch_rows(queries.by_username(name)) == [(ada, "Ada.L-1_", True)]
    for name in ("ada", "", "x" * 10_000, "ada\0", "\ud800", "' OR true --", "%"):
        assert await database.fetch_rows(queries.for_login(name)) == []
    listed = await database.fetch_rows(queries.all_users())
    assert [(row.username, row.email, row.is_admin, row.is_active, row.keys) for row in listed] == [
        ("Ada.L-1_", "ada@example.com", False, True, 0),
        ("boss", None, True, True, 0),
    ]


async def test_names_and_email_addresses_are_unique(database: Database) -> None:
    await created(database, "ada", email="ada@example.com")
    assert await rejection(database, "Ada") == ("username", "USERNAME_TAKEN")
    assert await rejection(database, "ada", "ada@example.com") == ("username", "USERNAME_TAKEN")
    assert await rejection(database, "other", "ADA@example.com") == ("email", "EMAIL_TAKEN")
    await created(database, "one")
    await created(database, "without", email="without@example.com")


@pytest.mark.parametrize("name", ["", "x" * 51, ".ada", "-", "a b", "ada\n", "adá", "ада", "a\0", "\ud800", "a@b"])
async def test_invalid_names_are_rejected(database: Database, name: str) -> None:
    assert await rejection(database, name) == ("username", "INVALID_USERNAME")


@pytest.mark.parametrize("email", ["", "ada", "@b", "a@", "a b@c", "a@b\n", "a\0@b", "\ud800@b", "a@" + "b" * 99])
async def test_invalid_email_addresses_are_rejected(database: Database, email: str) -> None:
    assert await rejection(database, "ada", email) == ("email", "INVALID_EMAIL")


async def test_of_two_concurrent_users_with_the_same_name_one_is_rejected(database: Database) -> None:
    created_users = await asyncio.gather(*(created(database, name) for name in ("ada", "Ada")), return_exceptions=True)
    assert sorted(type(one) for one in created_users if not isinstance(one, int)) == [ValidationError]


async def test_disabling_a_user_ends_all_sessions_and_prevents_new_ones(database: Database) -> None:
    ada, other = await created(database), await created(database, "other")
    async with database.transaction() as connection:
        assert [await begin_session(connection, user) for user in (ada, ada, other)] == [True] * 3
    async with database.transaction() as connection:
        assert await users.disable(connection, ada) == 2
        assert await users.disable(connection, ada) == 0
        assert not await begin_session(connection, ada)
    assert await users_with_sessions(database) == [other]
    async with database.transaction() as connection:
        assert await users.enable(connection, ada)
        assert await users_with_sessions(database) == [other]
        assert await begin_session(connection, ada)
        assert await users.disable(connection, 999) is None
        assert not await users.enable(connection, 999)


async def test_a_new_password_ends_all_sessions(database: Database) -> None:
    ada = await created(database)
    async with database.transaction() as connection:
        await begin_session(connection, ada)
    async with database.transaction() as connection:
        assert await users.set_password(connection, ada, OTHER) == 1
        assert await users.set_password(connection, 999, OTHER) is None
        # The old password was verified, but changed before the session began.
        assert not await begin_session(connection, ada, HASH)
        assert await begin_session(connection, ada, OTHER)
    assert await users_with_sessions(database) == [ada]


async def test_a_rehash_does_not_restore_an_old_password(database: Database) -> None:
    ada = await created(database)
    async with database.transaction() as connection:
        assert await users.store_rehash(connection, ada, verified=HASH, new_hash="newer")
        assert await users.set_password(connection, ada, OTHER) == 0
        assert not await users.store_rehash(connection, ada, verified="newer", new_hash="newest")
    assert await database.fetch_value(text("SELECT password_hash FROM users")) == OTHER


@pytest.mark.parametrize("change", ["disable", "set_password"])
async def test_a_login_concurrent_with_a_change_leaves_no_session(database: Database, change: str) -> None:
    """Whichever locks the user first, the other waits for it and sees its effect."""
    ada = await created(database)

    async def begin() -> bool:
        async with database.transaction() as connection:
            return await begin_session(connection, ada)

    async with database.transaction() as connection:
        await (users.disable(connection, ada) if change == "disable" else users.set_password(connection, ada, OTHER))
        beginning = asyncio.create_task(begin())
        await until_waiting_for_a_lock(database)
        assert not beginning.done()
    assert not await beginning

    async with database.transaction() as connection:
        await users.enable(connection, ada)
        await users.set_password(connection, ada, HASH)

    async def changed() -> int | None:
        async with database.transaction() as connection:
            if change == "disable":
                return await users.disable(connection, ada)
            return await users.set_password(connection, ada, OTHER)

    async with database.transaction() as connection:
        assert await begin_session(connection, ada)
        changing = asyncio.create_task(changed())
        await until_waiting_for_a_lock(database)
        assert not changing.done()
    assert await changing == 1
    assert await users_with_sessions(database) == []


async def users_with_sessions(database: Database) -> list[int]:
    """The users of the sessions that have not ended."""
    rows = await database.fetch_rows(text("SELECT user_id FROM sessions WHERE revoked_at IS NULL ORDER BY 1"))
    return [user_id for (user_id,) in rows]
