"""createApiKey and revokeApiKey."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.graph.mutations.people import People, Person, key_of, person
from tests.waiting import eventually

CREATE = """mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  userErrors { field message code } secret apiKey { id name prefix scopes expiresAt revokedAt lastUsedAt } } }"""
REVOKE = """mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
  userErrors { field message code } apiKey { id revokedAt } } }"""
WHO = "{ viewer { username apiKeys { totalCount } } }"


async def is_authenticated(one: Person) -> bool:
    response = await one.post("/graphql", json={"query": WHO})
    assert response.status_code in (200, 401)
    return response.status_code == 200


async def create_key(creator: Person, *scopes: str, **values: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await creator.data(CREATE, input={"name": "k", "scopes": scopes, **values}))[
        "createApiKey"
    ]
    assert payload["userErrors"] == []
    return payload


async def test_a_key_is_created_used_and_invalid_once_revoked(all_: People) -> None:
    payload = await create_key(all_.ann, "READ", "WRITE", expiresAt="now+1d")
    assert payload["secret"].startswith(f"cg_{payload['apiKey']['prefix']}_")
    assert payload["apiKey"]["scopes"] == ["READ", "WRITE"]
    program = person(all_.app, payload["secret"])
    assert (await program.data(WHO))["viewer"]["username"] == "ann"
    input_ = {"id": payload["apiKey"]["id"]}
    # Neither another user nor a key with the scope READ can revoke it.
    assert await all_.bob.errors(REVOKE, input=input_) == [("id", "NOT_FOUND")]
    assert (await all_.reader.error(REVOKE, input=input_))["extensions"]["code"] == "FORBIDDEN"
    assert (await all_.anonymous.error(REVOKE, input=input_))["extensions"]["code"] == "UNAUTHENTICATED"
    assert await is_authenticated(program)
    first = (await program.data(REVOKE, input=input_))["revokeApiKey"]["apiKey"]["revokedAt"]
    assert first is not None
    assert not await is_authenticated(program)
    assert (await all_.ann.data(REVOKE, input=input_))["revokeApiKey"]["apiKey"]["revokedAt"] == first


async def test_a_key_has_no_more_scopes_than_the_request_that_creates_it(all_: People) -> None:
    admin_key = {"name": "k", "scopes": ["ADMIN"]}
    assert await all_.ann.errors(CREATE, input=admin_key) == [("scopes", "FORBIDDEN")]
    assert (await all_.reader.error(CREATE, input=admin_key))["extensions"]["code"] == "FORBIDDEN"
    assert (await all_.anonymous.error(CREATE, input=admin_key))["extensions"]["code"] == "UNAUTHENTICATED"
    program = person(all_.app, (await create_key(all_.admin, "ADMIN"))["secret"])
    assert await program.errors(CREATE, input=admin_key) == []
    # A key with the scope WRITE of an administrator does not have the scope ADMIN.
    writer = person(all_.app, (await create_key(all_.admin, "WRITE"))["secret"])
    assert await writer.errors(CREATE, input=admin_key) == [("scopes", "FORBIDDEN")]
    visible = await writer.data("{ trades { totalCount } viewer { isAdmin } }")
    assert visible == {"trades": {"totalCount": 0}, "viewer": {"isAdmin": True}}


async def test_invalid_inputs_are_rejected(all_: People) -> None:
    invalid: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"name": ""}, [("name", "INVALID_NAME")]),
        ({"name": "k\0"}, [("name", "INVALID_NAME")]),
        ({"scopes": []}, [("scopes", "INVALID_SCOPES")]),
        ({"expiresAt": "now-1s"}, [("expiresAt", "INVALID_TIME")]),
        ({"expiresAt": "9999-12-31T23:59:59.999999Z"}, [("expiresAt", "OUT_OF_RANGE")]),
    ]
    for values, errors in invalid:
        assert await all_.ann.errors(CREATE, input={"name": "k", "scopes": ["READ"], **values}) == errors
    assert await all_.ann.errors(REVOKE, input={"id": "x"}) == [("id", "INVALID_ID")]
    assert await all_.ann.errors(REVOKE, input={"id": "QXBpS2V5Ojk5OQ=="}) == [("id", "NOT_FOUND")]
    # The keys of the fixtures.
    assert (await all_.ann.data(WHO))["viewer"]["apiKeys"]["totalCount"] == 2


async def test_a_repeated_scope_is_stored_once(all_: People) -> None:
    assert (await create_key(all_.ann, "READ", "READ"))["apiKey"]["scopes"] == ["READ"]


async def test_a_key_is_invalid_after_expires_at(all_: People) -> None:
    async with all_.database.transaction() as connection:
        expires_at = datetime.now(UTC) + timedelta(seconds=1)
        program = person(all_.app, await key_of(connection, all_.ann.user_id, "READ", expires_at=expires_at))
    assert await is_authenticated(program)
    await eventually(lambda: datetime.now(UTC) > expires_at)
    assert not await is_authenticated(program)


async def test_a_key_can_expire_in_the_year_9999(all_: People) -> None:
    secret = (await create_key(all_.ann, "READ", expiresAt="9999-12-31T23:59:59Z"))["secret"]
    assert await is_authenticated(person(all_.app, secret))
