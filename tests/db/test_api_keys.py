"""Writes and queries of API keys: owner, scopes, expiry, revocation and last use."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from db.engine import Database
from db.queries import api_keys as queries
from db.queries import identities
from db.queries.users import all_users
from db.writes import api_keys, users
from db.writes.validation import ValidationError

HASH = sha256(b"key").digest()


@pytest.fixture
def database(people: Database) -> Database:
    return people


@pytest.fixture
async def user(database: Database) -> int:
    return await created(database, "ada")


async def created(database: Database, name: str, *, is_admin: bool = False) -> int:
    async with database.transaction() as connection:
        return await users.create(connection, username=name, password_hash="!", is_admin=is_admin)


async def create_key(database: Database, user: int, number: int = 1, **changes: Any) -> int:
    key_hash = HASH if number == 1 else sha256(str(number).encode()).digest()
    values = {"name": "bot", "prefix": f"prefix{number}", "key_hash": key_hash, "scopes": ["READ"], "expires_at": None}
    async with database.transaction() as connection:
        return await api_keys.create(connection, user, **(values | changes))


async def rejection(database: Database, user: int, **changes: Any) -> tuple[str, str]:
    with pytest.raises(ValidationError) as raised:
        await create_key(database, user, **changes)
    return raised.value.errors[0].field[0], raised.value.errors[0].code


async def is_accepted(database: Database) -> bool:
    return bool(await database.fetch_rows(identities.of_api_key(HASH)))


async def write(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def test_a_key_identifies_its_user_and_scopes(database: Database, user: int) -> None:
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    key = await create_key(database, user, scopes=["WRITE", "READ", "WRITE"], expires_at=in_a_day)
    found = await database.fetch_rows(identities.of_api_key(HASH))
    assert found == [(user, False, key, ["READ", "WRITE"], in_a_day, None)]
    for other in (b"", b"x" * 32, HASH[:-1]):
        assert await database.fetch_rows(identities.of_api_key(other)) == []


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE api_keys SET revoked_at = now()",
        "UPDATE api_keys SET expires_at = now()",
        "UPDATE users SET is_active = false",
        "DELETE FROM users",
    ],
)
async def test_a_revoked_expired_or_orphaned_key_is_rejected(database: Database, user: int, end: str) -> None:
    await create_key(database, user)
    assert await is_accepted(database)
    await write(database, end)
    assert not await is_accepted(database)


async def test_keys_work_again_when_their_user_is_enabled(database: Database, user: int) -> None:
    await create_key(database, user)
    async with database.transaction() as connection:
        await users.disable(connection, user)
    assert not await is_accepted(database)
    async with database.transaction() as connection:
        await users.enable(connection, user)
    assert await is_accepted(database)


async def test_invalid_keys_are_rejected(database: Database, user: int) -> None:
    for name in ("", "  ", "x" * 101, "a\nb", "a\0", "\ud800"):
        assert await rejection(database, user, name=name) == ("name", "INVALID_NAME")
    for scopes in ([], ["read"], ["READ", "ALL"]):
        assert await rejection(database, user, scopes=scopes) == ("scopes", "INVALID_SCOPES")
    assert await rejection(database, user, expires_at=datetime.now(UTC)) == ("expires_at", "INVALID_TIME")
    assert await rejection(database, 999) == ("user", "USER_NOT_FOUND")
    await write(database, "UPDATE users SET is_active = false")
    assert await rejection(database, user) == ("user", "USER_NOT_FOUND")
    assert await database.fetch_rows(queries.for_username(None)) == []


async def test_only_administrators_can_have_the_scope_admin(database: Database, user: int) -> None:
    assert await rejection(database, user, scopes=["READ", "ADMIN"]) == ("scopes", "NOT_ADMIN")
    admin = await created(database, "boss", is_admin=True)
    await create_key(database, admin, scopes=["ADMIN"])
    ((user_id, is_admin, _, scopes, *_),) = await database.fetch_rows(identities.of_api_key(HASH))
    assert (user_id, is_admin, scopes) == (admin, True, ["ADMIN"])


async def test_the_number_of_keys_per_user_is_limited(
    database: Database, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "MAX_KEYS", 3)
    created_keys = await asyncio.gather(
        *(create_key(database, user, number) for number in range(1, 5)), return_exceptions=True
    )
    assert [one.errors[0].code for one in created_keys if isinstance(one, ValidationError)] == ["TOO_MANY_KEYS"]
    (first, *_) = [one for one in created_keys if isinstance(one, int)]
    async with database.transaction() as connection:
        assert await api_keys.revoke(connection, user, first)
    await create_key(database, user, 9)
    await create_key(database, await created(database, "other"), 10)
    assert [row.keys for row in await database.fetch_rows(all_users())] == [3, 1]


async def test_a_key_is_revoked_once_and_only_by_its_user(database: Database, user: int) -> None:
    key, other = await create_key(database, user), await created(database, "other")
    async with database.transaction() as connection:
        assert not await api_keys.revoke(connection, other, key)
        assert not await api_keys.revoke(connection, user, key + 1)
    assert await is_accepted(database)
    async with database.transaction() as connection:
        assert await api_keys.revoke(connection, user, key)
        assert not await api_keys.revoke(connection, user, key)
        assert not await api_keys.revoke_by_prefix(connection, "prefix1")
    assert not await is_accepted(database)
    await create_key(database, user, 2)
    async with database.transaction() as connection:
        assert await api_keys.revoke_by_prefix(connection, "prefix2")
        assert not await api_keys.revoke_by_prefix(connection, "prefix3")


async def test_keys_are_listed_without_their_hashes(database: Database, user: int) -> None:
    await create_key(database, user, name="second", scopes=["WRITE"])
    await create_key(database, await created(database, "other"), 2)
    listed = await database.fetch_rows(queries.for_username("ADA"))
    assert [tuple(row) for row in listed] == [("ada", True, "second", "prefix1", ["WRITE"], None, None, None)]
    assert [row.username for row in await database.fetch_rows(queries.for_username(None))] == ["ada", "other"]


async def test_the_last_use_is_recorded_once_a_minute(database: Database, user: int) -> None:
    key = await create_key(database, user)

    async def touch() -> bool:
        async with database.transaction() as connection:
            return await api_keys.touch(connection, key)

    assert await touch()
    assert not await touch()
    await write(database, "UPDATE api_keys SET last_used_at = last_used_at - interval '59 seconds'")
    assert not await touch()
    await write(database, "UPDATE api_keys SET last_used_at = last_used_at - interval '2 seconds'")
    assert sorted(await asyncio.gather(touch(), touch(), touch())) == [False, False, True]
    async with database.transaction() as connection:
        assert not await api_keys.touch(connection, key + 1)
    # A concurrent update of the row is skipped without waiting.
    await write(database, "UPDATE api_keys SET last_used_at = NULL")
    async with database.transaction() as connection:
        assert await api_keys.touch(connection, key)
        assert not await asyncio.wait_for(touch(), 1)


@pytest.mark.parametrize(
    "damage", ["scopes = '{}'", "scopes = '{READ,ALL}'", "scopes = '{NULL}'", "key_hash = 'short'"]
)
async def test_the_table_rejects_invalid_keys(database: Database, user: int, damage: str) -> None:
    await create_key(database, user)
    with pytest.raises(IntegrityError):
        await write(database, f"UPDATE api_keys SET {damage}")
