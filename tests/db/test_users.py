"""Users, as they are made and changed."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.engine import Database
from db.queries import users as queries
from db.writes import sessions, users
from db.writes.validation import ValidationError

HASH, OTHER = "hash", "another hash"
TOKEN = b"t" * 32
DAY = timedelta(days=1)


@pytest.fixture
def database(people: Database) -> Database:
    return people


async def created(database: Database, username: str = "ada", **values: str | bool) -> int:
    async with database.transaction() as connection:
        return await users.create(connection, username=username, password_hash=HASH, **values)  # type: ignore[arg-type]


async def refused(database: Database, username: str, email: str | None = None) -> tuple[str, str]:
    async with database.transaction() as connection:
        with pytest.raises(ValidationError) as told:
            await users.create(connection, username=username, password_hash=HASH, email=email)
        # The transaction goes on.
        await connection.execute(text("SELECT 1"))
    return told.value.errors[0].field[0], told.value.errors[0].code


async def begun(connection: AsyncConnection, user_id: int, verified: str = HASH) -> bool:
    begun = await sessions.begin(connection, user_id, verified=verified, token_hash=TOKEN, lifetime=DAY)
    return begun is not None


async def test_a_user_is_found_whatever_the_capitals(database: Database) -> None:
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


async def test_names_and_addresses_are_taken_once(database: Database) -> None:
    await created(database, "ada", email="ada@example.com")
    assert await refused(database, "Ada") == ("username", "USERNAME_TAKEN")
    assert await refused(database, "ada", "ada@example.com") == ("username", "USERNAME_TAKEN")
    assert await refused(database, "other", "ADA@example.com") == ("email", "EMAIL_TAKEN")
    await created(database, "one")
    await created(database, "without", email="without@example.com")


@pytest.mark.parametrize("name", ["", "x" * 51, ".ada", "-", "a b", "ada\n", "adá", "ада", "a\0", "\ud800", "a@b"])
async def test_names_that_nobody_may_have(database: Database, name: str) -> None:
    assert await refused(database, name) == ("username", "INVALID_USERNAME")


@pytest.mark.parametrize("email", ["", "ada", "@b", "a@", "a b@c", "a@b\n", "a\0@b", "\ud800@b", "a@" + "b" * 99])
async def test_addresses_that_are_none(database: Database, email: str) -> None:
    assert await refused(database, "ada", email) == ("email", "INVALID_EMAIL")


async def test_two_of_one_name_at_once(database: Database) -> None:
    made = await asyncio.gather(*(created(database, name) for name in ("ada", "Ada")), return_exceptions=True)
    assert sorted(type(one) for one in made if not isinstance(one, int)) == [ValidationError]


async def test_disabling_ends_the_sessions_and_lets_none_begin(database: Database) -> None:
    ada, other = await created(database), await created(database, "other")
    async with database.transaction() as connection:
        assert [await begun(connection, user) for user in (ada, ada, other)] == [True] * 3
    async with database.transaction() as connection:
        assert await users.disable(connection, ada) == 2
        assert await users.disable(connection, ada) == 0
        assert not await begun(connection, ada)
    assert await living(database) == [other]
    async with database.transaction() as connection:
        assert await users.enable(connection, ada)
        assert await living(database) == [other]
        assert await begun(connection, ada)
        assert await users.disable(connection, 999) is None
        assert not await users.enable(connection, 999)


async def test_another_password_ends_the_sessions(database: Database) -> None:
    ada = await created(database)
    async with database.transaction() as connection:
        await begun(connection, ada)
    async with database.transaction() as connection:
        assert await users.set_password(connection, ada, OTHER) == 1
        assert await users.set_password(connection, 999, OTHER) is None
        # The old one was verified, and changed before the session could begin.
        assert not await begun(connection, ada, HASH)
        assert await begun(connection, ada, OTHER)
    assert await living(database) == [ada]


async def test_a_rehash_does_not_bring_an_old_password_back(database: Database) -> None:
    ada = await created(database)
    async with database.transaction() as connection:
        assert await users.store_rehash(connection, ada, verified=HASH, new_hash="newer")
        assert await users.set_password(connection, ada, OTHER) == 0
        assert not await users.store_rehash(connection, ada, verified="newer", new_hash="newest")
    assert await database.fetch_value(text("SELECT password_hash FROM users")) == OTHER


@pytest.mark.parametrize("change", ["disable", "set_password"])
async def test_a_login_during_a_change_leaves_no_session(database: Database, change: str) -> None:
    """Whichever comes first: the other waits for it, and then knows."""
    ada = await created(database)

    async def begin() -> bool:
        async with database.transaction() as connection:
            return await begun(connection, ada)

    async with database.transaction() as connection:
        await (users.disable(connection, ada) if change == "disable" else users.set_password(connection, ada, OTHER))
        beginning = asyncio.create_task(begin())
        await asyncio.sleep(0.1)
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
        assert await begun(connection, ada)
        changing = asyncio.create_task(changed())
        await asyncio.sleep(0.1)
        assert not changing.done()
    assert await changing == 1
    assert await living(database) == []


async def living(database: Database) -> list[int]:
    """The users of the sessions that are alive."""
    rows = await database.fetch_rows(text("SELECT user_id FROM sessions WHERE revoked_at IS NULL ORDER BY 1"))
    return [user_id for (user_id,) in rows]
