"""The application of these tests, which requires authentication, and its clients, one for each user."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
from asgi_lifespan import LifespanManager
from sqlalchemy import URL, text
from starlette.types import ASGIApp

from db.engine import Connection, Database
from db.writes import api_keys, users
from graph.identity.api_keys import ApiKey
from tests.application import Client, application, in_one_piece

SECRET_KEY = "a secret of these tests, which is long enough"
REQUIRED: dict[str, Any] = {"auth_mode": "required", "secret_key": SECRET_KEY}


class Person(Client):
    """A client with the API key of a user."""

    user_id: int

    async def errors(self, mutation: str, **variables: Any) -> list[tuple[str, str]]:
        """The userErrors of a mutation with one root field: the path below input, joined by dots, and the code."""
        found = await self.data(mutation, **variables)
        (payload,) = found.values()
        assert all(error["field"][0] == "input" and error["message"] for error in payload["userErrors"])
        return [(".".join(error["field"][1:]), error["code"]) for error in payload["userErrors"]]


class People(NamedTuple):
    """ann, bob and admin have keys that write; reader has a key of ann with the scope READ; anonymous has no key."""

    ann: Person
    bob: Person
    admin: Person
    reader: Person
    anonymous: Person
    database: Database
    app: ASGIApp


@asynccontextmanager
async def people(url: URL, **settings: Any) -> AsyncIterator[People]:
    """The clients, and the coins BTC (H1) and ETH (D1). By default, the server requires authentication."""
    database = Database(url, pool_size=3)
    app = application(url, **{**REQUIRED, **settings})
    async with database.transaction() as connection:
        keys = await _create_users(connection)
    try:
        async with LifespanManager(app):
            yield People(
                **{name: person(app, key, id_) for name, (id_, key) in keys.items()}, database=database, app=app
            )
    finally:
        assert database.pool_in_use == 0
        await database.close()


def person(app: ASGIApp, token: str | None = None, user_id: int = 0) -> Person:
    headers = {"graphql-preflight": "1"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    found = Person(transport=httpx.ASGITransport(in_one_piece(app)), base_url="http://test", headers=headers)
    found.user_id = user_id
    return found


async def key_of(connection: Connection, user_id: int, scope: str, **values: Any) -> str:
    """A new API key of a user."""
    new = ApiKey.new()
    values = {"expires_at": None, **values}
    await api_keys.create(
        connection, user_id, name=scope, prefix=new.prefix, key_hash=new.hash, scopes=[scope], **values
    )
    return new.text


async def _create_users(connection: Connection) -> dict[str, tuple[int, str | None]]:
    """The id and API key of each client, by its name."""
    await connection.execute(text(COINS))
    keys: dict[str, tuple[int, str | None]] = {"anonymous": (0, None)}
    for name in ("ann", "bob", "admin"):
        is_admin = name == "admin"
        id_ = await users.create(connection, username=name, password_hash=users.NO_PASSWORD, is_admin=is_admin)
        keys[name] = id_, await key_of(connection, id_, "ADMIN" if is_admin else "WRITE")
    ann, _ = keys["ann"]
    keys["reader"] = ann, await key_of(connection, ann, "READ")
    return keys


COINS = (
    "INSERT INTO cryptocurrencies (symbol, name, base_interval) VALUES ('BTC', 'Bitcoin', 'H1'), ('ETH', 'Ether', 'D1')"
)
