"""Users: made, disabled, enabled, and given passwords. What they know of a password is its hash."""

from typing import Any

from sqlalchemy import Update, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from db.models import User
from db.queries import users as queries
from db.queries.users import USERNAME
from db.writes import sessions
from db.writes.validation import ValidationError, invalid

LONGEST_EMAIL = 100
# Such a user cannot sign in.
NO_PASSWORD = "!"  # noqa: S105 - it is none
STRANGER = "local"


async def create(
    connection: AsyncConnection, *, username: str, password_hash: str, email: str | None = None, is_admin: bool = False
) -> int:
    """The new user's id. Raises ValidationError: INVALID_USERNAME, USERNAME_TAKEN, INVALID_EMAIL, EMAIL_TAKEN.

    Two names that differ in capitals only are one, and so are two addresses.
    """
    check_username(username)
    if email is not None:
        check_email(email)
    made = await connection.execute(
        insert(User)
        .values(username=username, password_hash=password_hash, email=email, is_admin=is_admin)
        .on_conflict_do_nothing()
        .returning(User.id)
    )
    user_id: int | None = made.scalar()
    if user_id is None:
        raise await _taken(connection, username)
    return user_id


def check_username(username: str) -> None:
    """Raises ValidationError. Letters are those of ASCII: no two names look alike."""
    if not USERNAME.fullmatch(username):
        raise invalid(
            "INVALID_USERNAME",
            "username",
            "A user name has 1 to 50 letters, digits, dots, hyphens or underscores; the first is a letter or digit.",
        )


def check_email(email: str) -> None:
    """Raises ValidationError. Whether mail arrives there, only mail can tell."""
    name, _, domain = email.rpartition("@")
    if not (name and domain and len(email) <= LONGEST_EMAIL and email.isprintable() and " " not in email):
        raise invalid("INVALID_EMAIL", "email", "This is no address of the form name@example.com.")


async def _taken(connection: AsyncConnection, username: str) -> ValidationError:
    same_name = select(User.id).where(func.lower(User.username) == username.lower())
    if (await connection.execute(same_name)).first() is not None:
        return invalid("USERNAME_TAKEN", "username", f"There is a user {username} already.")
    return invalid("EMAIL_TAKEN", "email", "Another user has this address.")


async def anonymous_user(connection: AsyncConnection) -> int:
    """The user to whom belongs what nobody signs for, where nobody has to sign in; made when it is first needed."""
    find = queries.named(STRANGER)
    if (await connection.execute(find)).one_or_none() is None:
        # Somebody else may be making it, whom this waits for.
        values = {"username": STRANGER, "password_hash": NO_PASSWORD}
        await connection.execute(insert(User).values(**values).on_conflict_do_nothing())
    user_id: int = (await connection.execute(find)).one().id
    return user_id


async def disable(connection: AsyncConnection, user_id: int) -> int | None:
    """End the user's sessions, and let nobody begin one. Returns how many were ended; None where there is no such user.

    The user's keys stay as they are, and are good for nothing until the user is enabled again.
    """
    return await _change_and_end_sessions(connection, user_id, is_active=False)


async def enable(connection: AsyncConnection, user_id: int) -> bool:
    """Whether there is such a user. Sessions that were ended stay so."""
    return await _changed(connection, _update(user_id).values(is_active=True))


async def set_password(connection: AsyncConnection, user_id: int, password_hash: str) -> int | None:
    """Give the user another password, and end all sessions: who has the old one, or a token, must not go on with it.

    Returns how many sessions were ended; None where there is no such user.
    """
    return await _change_and_end_sessions(connection, user_id, password_hash=password_hash)


async def store_rehash(connection: AsyncConnection, user_id: int, *, verified: str, new_hash: str) -> bool:
    """Store another hash of the password that was verified, unless the user has another password by now."""
    return await _changed(
        connection, _update(user_id).where(User.password_hash == verified).values(password_hash=new_hash)
    )


async def _change_and_end_sessions(connection: AsyncConnection, user_id: int, **values: Any) -> int | None:
    # In this order: a session that is about to begin has locked the user, and is seen afterwards.
    if not await _changed(connection, _update(user_id).values(**values)):
        return None
    return await sessions.revoke_all(connection, user_id)


def _update(user_id: int) -> Update:
    return update(User).where(User.id == user_id)


async def _changed(connection: AsyncConnection, statement: Update) -> bool:
    return bool((await connection.execute(statement)).rowcount)
