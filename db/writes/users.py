"""Writes of users: create, disable, enable, set password. Only the hash of a password is stored."""

from typing import Any

from sqlalchemy import Update, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.models import User
from db.queries import users as queries
from db.queries.users import USERNAME
from db.writes import sessions
from db.writes.validation import ValidationError, validation_error

MAX_EMAIL = 100
# No password matches this hash: a user with it cannot sign in.
NO_PASSWORD = "!"  # noqa: S105 - not a password
ANONYMOUS_USERNAME = "local"


async def create(
    connection: AsyncConnection, *, username: str, password_hash: str, email: str | None = None, is_admin: bool = False
) -> int:
    """Create a user; return its id. User names and email addresses are unique, case-insensitive.

    Raises ValidationError: INVALID_USERNAME, USERNAME_TAKEN, INVALID_EMAIL, EMAIL_TAKEN.
    """
    check_username(username)
    if email is not None:
        check_email(email)
    inserted = await connection.execute(
        insert(User)
        .values(username=username, password_hash=password_hash, email=email, is_admin=is_admin)
        .on_conflict_do_nothing()
        .returning(User.id)
    )
    user_id: int | None = inserted.scalar()
    if user_id is None:
        raise await _conflict(connection, username)
    return user_id


def check_username(username: str) -> None:
    """Raises ValidationError. Only ASCII letters are allowed, so that no two names look alike."""
    if not USERNAME.fullmatch(username):
        raise validation_error(
            "INVALID_USERNAME",
            "username",
            "A user name has 1 to 50 letters, digits, dots, hyphens or underscores; the first is a letter or digit.",
        )


def check_email(email: str) -> None:
    """Raises ValidationError. Checks the form only, not whether the address receives mail."""
    name, _, domain = email.rpartition("@")
    if not (name and domain and len(email) <= MAX_EMAIL and email.isprintable() and " " not in email):
        raise validation_error("INVALID_EMAIL", "email", "This is not an address of the form name@example.com.")


async def _conflict(connection: AsyncConnection, username: str) -> ValidationError:
    same_name = select(User.id).where(func.lower(User.username) == username.lower())
    if (await connection.execute(same_name)).first() is not None:
        return validation_error("USERNAME_TAKEN", "username", f"A user named {username} already exists.")
    return validation_error("EMAIL_TAKEN", "email", "Another user has this address.")


async def anonymous_user(connection: AsyncConnection) -> int:
    """The id of the user who owns the rows of anonymous callers, created when it is first needed."""
    find = queries.by_username(ANONYMOUS_USERNAME)
    if (await connection.execute(find)).one_or_none() is None:
        # ON CONFLICT DO NOTHING waits for a concurrent insert.
        values = {"username": ANONYMOUS_USERNAME, "password_hash": NO_PASSWORD}
        await connection.execute(insert(User).values(**values).on_conflict_do_nothing())
    user_id: int = (await connection.execute(find)).one().id
    return user_id


async def disable(connection: AsyncConnection, user_id: int) -> int | None:
    """Disable the user and end all its sessions. Returns how many ended; None if there is no such user.

    The user's API keys stay, but are rejected until the user is enabled again.
    """
    return await _change_and_end_sessions(connection, user_id, is_active=False)


async def enable(connection: AsyncConnection, user_id: int) -> bool:
    """Enable the user. Returns whether there is such a user. Ended sessions stay ended."""
    return await _execute(connection, _update(user_id).values(is_active=True))


async def set_password(connection: AsyncConnection, user_id: int, password_hash: str) -> int | None:
    """Set the user's password and end all sessions, so that the old password and its tokens are of no further use.

    Returns how many sessions ended; None if there is no such user.
    """
    return await _change_and_end_sessions(connection, user_id, password_hash=password_hash)


async def store_rehash(connection: AsyncConnection, user_id: int, *, verified: str, new_hash: str) -> bool:
    """Store a new hash of the verified password. Returns False if the password has changed since."""
    return await _execute(
        connection, _update(user_id).where(User.password_hash == verified).values(password_hash=new_hash)
    )


async def _change_and_end_sessions(connection: AsyncConnection, user_id: int, **values: Any) -> int | None:
    # In this order: a concurrent login has locked the user, so its session is visible after the update.
    if not await _execute(connection, _update(user_id).values(**values)):
        return None
    return await sessions.revoke_all(connection, user_id)


def _update(user_id: int) -> Update:
    return update(User).where(User.id == user_id)


async def _execute(connection: AsyncConnection, statement: Update) -> bool:
    return bool((await connection.execute(statement)).rowcount)
