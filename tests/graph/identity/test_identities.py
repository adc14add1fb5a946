"""Identities of tokens: looked up once while the change feed is listening, whether answers are cached or not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL, event
from sqlalchemy.engine import Engine

from db.row_security import viewer_setting
from tests.graph.mutations.people import People, people
from tests.graph.mutations.test_api_keys import REVOKE, is_authenticated
from tests.waiting import eventually

LISTENING = "{ health { cache { listening } } }"
KEYS = "{ viewer { apiKeys { nodes { id } } } }"


@pytest.fixture(params=[True, False], ids=["with the cache", "without the cache"])
async def users(request: pytest.FixtureRequest, database_url: URL) -> AsyncIterator[People]:
    async with people(database_url, cache_enabled=request.param) as users:

        async def is_listening() -> bool:
            listening: bool = (await users.admin.data(LISTENING))["health"]["cache"]["listening"]
            return listening

        await eventually(is_listening)
        yield users


@contextmanager
def identity_statements() -> Iterator[list[str]]:
    """The statements that look up an API key within the block."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "key_hash" in statement:
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_token_is_looked_up_once(users: People) -> None:
    with identity_statements() as statements:
        for _ in range(3):
            assert await is_authenticated(users.ann)
    assert len(statements) == 1


async def test_a_key_that_is_revoked_by_a_mutation_is_rejected_by_the_next_request(users: People) -> None:
    assert await is_authenticated(users.bob)
    (key,) = (await users.bob.data(KEYS))["viewer"]["apiKeys"]["nodes"]
    assert (await users.bob.data(REVOKE, input=key))["revokeApiKey"]["userErrors"] == []
    assert not await is_authenticated(users.bob)


async def test_a_key_that_is_revoked_in_sql_is_rejected(users: People) -> None:
    assert await is_authenticated(users.ann)
    async with users.database.transaction(viewer=viewer_setting(None, sees_all=True)) as connection:
        await connection.exec_driver_sql(f"UPDATE api_keys SET revoked_at = now() WHERE user_id = {users.ann.user_id}")

    async def is_rejected() -> bool:
        return not await is_authenticated(users.ann)

    await eventually(is_rejected, seconds=1)
