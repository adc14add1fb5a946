"""createApiKey and revokeApiKey."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.graph.mutations.people import People, Person, key_of, person

CREATE = """mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  userErrors { field message code } secret apiKey { id name prefix scopes expiresAt revokedAt lastUsedAt } } }"""
REVOKE = """mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
  userErrors { field message code } apiKey { id revokedAt } } }"""
WHO = "{ viewer { username apiKeys { totalCount } } }"


async def is_let_in(one: Person) -> bool:
    response = await one.post("/graphql", json={"query": WHO})
    assert response.status_code in (200, 401)
    return response.status_code == 200


async def made(maker: Person, *scopes: str, **values: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await maker.data(CREATE, input={"name": "k", "scopes": scopes, **values}))[
        "createApiKey"
    ]
    assert payload["userErrors"] == []
    return payload


async def test_a_key_is_made_used_and_revoked_at_once(all_: People) -> None:
    payload = await made(all_.ann, "READ", "WRITE", expiresAt="now+1d")
    assert payload["secret"].startswith(f"cg_{payload['apiKey']['prefix']}_")
    assert payload["apiKey"]["scopes"] == ["READ", "WRITE"]
    program = person(all_.app, payload["secret"])
    assert (await program.data(WHO))["viewer"]["username"] == "ann"
    given = {"id": payload["apiKey"]["id"]}
    # Neither another nor somebody who reads alone ends it.
    assert await all_.bob.errors(REVOKE, input=given) == [("id", "NOT_FOUND")]
    assert (await all_.reader.error(REVOKE, input=given))["extensions"]["code"] == "FORBIDDEN"
    assert (await all_.anonymous.error(REVOKE, input=given))["extensions"]["code"] == "UNAUTHENTICATED"
    assert await is_let_in(program)
    first = (await program.data(REVOKE, input=given))["revokeApiKey"]["apiKey"]["revokedAt"]
    assert first is not None
    assert not await is_let_in(program)
    assert (await all_.ann.data(REVOKE, input=given))["revokeApiKey"]["apiKey"]["revokedAt"] == first


async def test_a_key_does_no_more_than_whoever_makes_it(all_: People) -> None:
    admins = {"name": "k", "scopes": ["ADMIN"]}
    assert await all_.ann.errors(CREATE, input=admins) == [("scopes", "FORBIDDEN")]
    assert (await all_.reader.error(CREATE, input=admins))["extensions"]["code"] == "FORBIDDEN"
    assert (await all_.anonymous.error(CREATE, input=admins))["extensions"]["code"] == "UNAUTHENTICATED"
    program = person(all_.app, (await made(all_.admin, "ADMIN"))["secret"])
    assert await program.errors(CREATE, input=admins) == []
    # An administrator's key that writes is no administrator.
    writer = person(all_.app, (await made(all_.admin, "WRITE"))["secret"])
    assert await writer.errors(CREATE, input=admins) == [("scopes", "FORBIDDEN")]
    everybodys = await writer.data("{ trades { totalCount } viewer { isAdmin } }")
    assert everybodys == {"trades": {"totalCount": 0}, "viewer": {"isAdmin": True}}


async def test_what_is_wrong(all_: People) -> None:
    refused: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"name": ""}, [("name", "INVALID_NAME")]),
        ({"name": "k\0"}, [("name", "INVALID_NAME")]),
        ({"scopes": []}, [("scopes", "INVALID_SCOPES")]),
        ({"expiresAt": "now-1s"}, [("expiresAt", "INVALID_TIME")]),
        ({"expiresAt": "9999-12-31T23:59:59.999999Z"}, [("expiresAt", "OUT_OF_RANGE")]),
    ]
    for values, errors in refused:
        assert await all_.ann.errors(CREATE, input={"name": "k", "scopes": ["READ"], **values}) == errors
    assert await all_.ann.errors(REVOKE, input={"id": "x"}) == [("id", "INVALID_ID")]
    assert await all_.ann.errors(REVOKE, input={"id": "QXBpS2V5Ojk5OQ=="}) == [("id", "NOT_FOUND")]
    # Of the fixtures.
    assert (await all_.ann.data(WHO))["viewer"]["apiKeys"]["totalCount"] == 2


async def test_a_scope_that_is_given_twice_is_one(all_: People) -> None:
    assert (await made(all_.ann, "READ", "READ"))["apiKey"]["scopes"] == ["READ"]


async def test_a_key_ends_when_its_time_has_come(all_: People) -> None:
    async with all_.database.transaction() as connection:
        expires_at = datetime.now(UTC) + timedelta(seconds=1)
        program = person(all_.app, await key_of(connection, all_.ann.user_id, "READ", expires_at=expires_at))
    assert await is_let_in(program)
    await asyncio.sleep(1.1)
    assert not await is_let_in(program)


async def test_a_key_that_lasts_until_the_last_year_works(all_: People) -> None:
    secret = (await made(all_.ann, "READ", expiresAt="9999-12-31T23:59:59Z"))["secret"]
    assert await is_let_in(person(all_.app, secret))
