import re
from typing import NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from db.engine import Connection
from db.models import User
from db.writes import sessions
from db.writes.refusals import refuse

USER = User.table()
USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}", re.ASCII)
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}", re.ASCII)
MAX_EMAIL = 100
# What no password has: its user cannot sign in.
NO_PASSWORD = "!"  # noqa: S105 - it is none
STRANGER = "local"


class Login(NamedTuple):
    id: int
    password_hash: str
    is_active: bool


async def create(
    connection: Connection, *, username: str, password_hash: str, email: str | None = None, is_admin: bool = False
) -> int:
    """A new user's key. Raises WriteRefused."""
    if not USERNAME.fullmatch(username):
        message = "A name has 1 to 50 letters, digits, dots, hyphens or underscores, and begins with a letter or digit."
        raise refuse("INVALID_TEXT", "username", message)
    if email is not None and (len(email) > MAX_EMAIL or not EMAIL.fullmatch(email)):
        raise refuse("INVALID_TEXT", "email", "This is not an address for e-mail.")
    values = {"username": username, "password_hash": password_hash, "email": email, "is_admin": is_admin}
    try:
        key: int = (await connection.execute(insert(USER).values(**values).returning(USER.c.id))).scalar_one()
    except IntegrityError as error:
        field = "email" if "uq_users_email" in str(error.orig) else "username"
        raise refuse("ALREADY_EXISTS", field, f"There is a user with this {field} already.") from error
    return key


async def stranger(connection: Connection) -> int:
    """The user to whom belongs what nobody signs for, where nobody has to sign in; made when it is first needed."""
    found = await find(connection, STRANGER)
    if found is None:
        # Another may be making it: that one is waited for, and seen then.
        made = upsert(USER).values(username=STRANGER, password_hash=NO_PASSWORD, is_admin=False)
        await connection.execute(made.on_conflict_do_nothing())
        found = await find(connection, STRANGER)
    assert found is not None, "users are not deleted"
    return found.id


async def find(connection: Connection, username: str) -> Login | None:
    """The user of this name, in any case."""
    if not USERNAME.fullmatch(username):
        return None
    rows = select(USER.c.id, USER.c.password_hash, USER.c.is_active)
    found = (await connection.execute(rows.where(func.lower(USER.c.username) == username.lower()))).one_or_none()
    return None if found is None else Login(*found)


async def set_active(connection: Connection, user_id: int, is_active: bool) -> None:
    """Let somebody in again, or not any more: then all their sessions end."""
    await connection.execute(update(USER).where(USER.c.id == user_id).values(is_active=is_active))
    if not is_active:
        await sessions.revoke_all(connection, user_id)


async def set_password(connection: Connection, user_id: int, password_hash: str) -> None:
    """Give a user another password; all their sessions end."""
    await store_hash(connection, user_id, password_hash)
    await sessions.revoke_all(connection, user_id)


async def store_hash(connection: Connection, user_id: int, password_hash: str) -> None:
    """Store another hash of the same password."""
    await connection.execute(update(USER).where(USER.c.id == user_id).values(password_hash=password_hash))
