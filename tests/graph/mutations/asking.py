"""Mutations as a client sends them, and what they answer."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, text

from db.engine import Database
from graph.identity.scopes import Scope
from tests.application import Client, serving
from tests.people import SIGNING, key_of, signed

_numbers = itertools.count(1)


def new_name() -> str:
    return f"name-{next(_numbers)}"


@asynccontextmanager
async def signed_in(url: URL, scope: Scope = Scope.WRITE) -> AsyncIterator[Client]:
    """A client of a new user, where people sign in."""
    async with serving(url, **SIGNING) as client:
        client.headers.update(signed(await key_of(url, scope)))
        yield client


async def mutate(client: Client, name: str, selection: str, /, **given: Any) -> Any:
    """The payload of a mutation, without errors of any kind."""
    payload = await attempt(client, name, selection, **given)
    assert payload.pop("userErrors") == []
    return payload


async def attempt(client: Client, name: str, selection: str, /, **given: Any) -> Any:
    type_ = f"{name[0].upper()}{name[1:]}Input!"
    selected = f"{selection} userErrors {{ code field message }}"
    query = f"mutation($input: {type_}) {{ {name}(input: $input) {{ {selected} }} }}"
    return (await client.data(query, input=given))[name]


async def refused(client: Client, name: str, /, **given: Any) -> list[tuple[str, str]]:
    """What is wrong with the input: each code, and the field below the input."""
    payload = await attempt(client, name, "", **given)
    errors = payload["userErrors"]
    assert errors
    assert all(error["message"] and error["field"][0] == "input" for error in errors)
    return [(error["code"], ".".join(error["field"][1:])) for error in errors]


async def scalar(url: URL, statement: str, **values: Any) -> Any:
    database = Database(url, pool_size=1)
    try:
        return await database.fetch_value(text(statement).bindparams(**values))
    finally:
        await database.close()
