"""Writes of sessions: start, token rotation and revocation."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from db.engine import Database
from db.queries import identities
from db.writes import sessions, users
from db.writes.sessions import Outcome, RotationResult
from tests.db.locks import until_waiting_for_a_lock

HASH = "hash"
DAY = timedelta(days=1)
FIRST, SECOND, THIRD, STOLEN = (sha256(name).digest() for name in (b"first", b"second", b"third", b"stolen"))


@pytest.fixture
def database(people: Database) -> Database:
    return people


@pytest.fixture
async def user(database: Database) -> int:
    async with database.transaction() as connection:
        return await users.create(connection, username="ada", password_hash=HASH, is_admin=True)


@pytest.fixture
async def session(database: Database, user: int) -> UUID:
    return await begin(database, user)


async def begin(database: Database, user: int, lifetime: timedelta = DAY) -> UUID:
    async with database.transaction() as connection:
        session = await sessions.begin(connection, user, verified=HASH, token_hash=FIRST, lifetime=lifetime)
    assert session is not None
    return session


async def rotate(database: Database, session: UUID, presented: bytes, new: bytes) -> RotationResult:
    async with database.transaction() as connection:
        return await sessions.rotate(connection, session, presented=presented, new_hash=new)


async def is_alive(database: Database, session: UUID) -> bool:
    return bool(await database.fetch_rows(identities.of_session(session)))


async def test_a_session_identifies_its_user(database: Database, user: int, session: UUID) -> None:
    ((user_id, is_admin, expires_at),) = await database.fetch_rows(identities.of_session(session))
    assert (user_id, is_admin) == (user, True)
    assert abs(expires_at - datetime.now(UTC) - DAY) < timedelta(seconds=10)
    assert await database.fetch_rows(identities.of_session(uuid4())) == []


async def test_session_ids_are_random(database: Database, user: int) -> None:
    made = {await begin(database, user) for _ in range(5)}
    assert len(made) == 5
    assert {session.version for session in made} == {4}


async def test_each_token_can_be_used_once(database: Database, user: int, session: UUID) -> None:
    expires = await database.fetch_value(text("SELECT expires_at FROM sessions"))
    assert await rotate(database, session, FIRST, SECOND) == RotationResult(Outcome.ROTATED, user)
    assert await rotate(database, session, SECOND, THIRD) == RotationResult(Outcome.ROTATED, user)
    assert await is_alive(database, session)
    assert await rotate(database, session, FIRST, STOLEN) == RotationResult(Outcome.REUSED, user)
    assert not await is_alive(database, session)
    # Not for the legitimate client either.
    assert await rotate(database, session, THIRD, FIRST) == RotationResult(Outcome.ENDED, user)
    row = "SELECT token_hash, expires_at, refreshed_at > created_at FROM sessions"
    assert await database.fetch_rows(text(row)) == [(THIRD, expires, True)]


async def test_an_unknown_token_ends_the_session(database: Database, user: int, session: UUID) -> None:
    assert await rotate(database, uuid4(), FIRST, SECOND) == RotationResult(Outcome.UNKNOWN)
    assert await rotate(database, session, b"short", SECOND) == RotationResult(Outcome.REUSED, user)
    assert not await is_alive(database, session)


async def test_two_concurrent_refreshes_are_a_reuse(database: Database, user: int, session: UUID) -> None:
    """One rotates the token. The other presents a used token, which ends the session."""
    results = await asyncio.gather(*(rotate(database, session, FIRST, new) for new in (SECOND, THIRD)))
    assert sorted(one.outcome.name for one in results) == ["REUSED", "ROTATED"]
    assert not await is_alive(database, session)
    assert (await rotate(database, session, SECOND, FIRST)).outcome is Outcome.ENDED


async def test_the_second_waits_until_the_first_is_committed(database: Database, user: int, session: UUID) -> None:
    async with database.transaction() as connection:
        assert (await sessions.rotate(connection, session, presented=FIRST, new_hash=SECOND)).outcome is Outcome.ROTATED
        second = asyncio.create_task(rotate(database, session, FIRST, THIRD))
        await until_waiting_for_a_lock(database)
        assert not second.done()
    assert (await second).outcome is Outcome.REUSED


async def test_a_refresh_that_was_rolled_back_does_not_use_the_token(
    database: Database, user: int, session: UUID
) -> None:
    async def rotate_and_roll_back() -> None:
        async with database.transaction() as connection:
            await sessions.rotate(connection, session, presented=FIRST, new_hash=SECOND)
            raise LookupError

    with pytest.raises(LookupError):
        await rotate_and_roll_back()
    assert (await rotate(database, session, FIRST, SECOND)).outcome is Outcome.ROTATED


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE users SET is_active = false",
        "UPDATE sessions SET expires_at = now()",
        "UPDATE sessions SET revoked_at = now()",
    ],
)
async def test_an_ended_session_cannot_be_refreshed(database: Database, user: int, session: UUID, end: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(end))
    assert not await is_alive(database, session)
    assert await rotate(database, session, FIRST, SECOND) == RotationResult(Outcome.ENDED, user)
    assert await database.fetch_value(text("SELECT token_hash FROM sessions")) == FIRST


async def test_a_logout_ends_one_session(database: Database, user: int, session: UUID) -> None:
    others = [await begin(database, user) for _ in range(2)]
    expired = await begin(database, user, timedelta(seconds=-1))
    async with database.transaction() as connection:
        assert await sessions.revoke(connection, session)
        assert not await sessions.revoke(connection, session)
        assert not await sessions.revoke(connection, expired)
        assert not await sessions.revoke(connection, uuid4())
    assert [await is_alive(database, one) for one in (session, *others)] == [False, True, True]
    async with database.transaction() as connection:
        assert await sessions.revoke_all(connection, user) == 2
    assert not await is_alive(database, others[0])
