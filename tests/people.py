"""Users of tests, and the API keys that authenticate them."""

from sqlalchemy import URL

from db.engine import Database
from db.writes import api_keys, users
from graph.identity.api_keys import ApiKey
from graph.identity.scopes import Scope

SECRET_KEY = "a key of the tests, and long enough for it"
SIGNING = {"auth_mode": "required", "secret_key": SECRET_KEY}
PRODUCTION = {**SIGNING, "environment": "production"}


async def key_of(url: URL, scope: Scope, username: str | None = None, password_hash: str = "!") -> str:
    """An API key with this scope of a new user; the user is an administrator if the scope is ADMIN."""
    key = ApiKey.new()
    database = Database(url, pool_size=1)
    async with database.transaction() as connection:
        user_id = await users.create(
            connection,
            username=username or f"user-{key.prefix}",
            password_hash=password_hash,
            is_admin=scope is Scope.ADMIN,
        )
        await api_keys.create(
            connection,
            user_id,
            name="test",
            prefix=key.prefix,
            key_hash=key.hash,
            scopes=[scope.name],
            expires_at=None,
        )
    await database.close()
    return key.text


def signed(key: str) -> dict[str, str]:
    """Headers that authenticate a request with this API key."""
    return {"authorization": f"Bearer {key}"}
