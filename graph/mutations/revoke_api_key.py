from typing import Any

import strawberry

from db.queries import api_keys
from db.writes import api_keys as writes
from db.writes.validation import missing
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import Writing, mutation
from graph.types.api_keys import ApiKey
from graph.types.user_errors import Payload


@strawberry.input(description="An API key to revoke.")
class RevokeApiKeyInput:
    id: strawberry.ID = strawberry.field(description="Its id.")


@strawberry.type(description="What became of revokeApiKey.")
class RevokeApiKeyPayload(Payload):
    api_key_id: strawberry.Private[int | None] = None

    @relation(ApiKey | None, "The key as it is now.")
    def api_key(self: Row, info: Info) -> Rows:
        return api_keys.by_id(info.context.viewer, self.api_key_id)


@mutation("End an API key of yours, at once and for ever.")
async def revoke_api_key(writing: Writing, given: RevokeApiKeyInput) -> RevokeApiKeyPayload:
    key: Any = primary_key("ApiKey", given.id, ["id"])
    found = (await writing.connection.execute(api_keys.by_id(writing.viewer, key))).one_or_none()
    if found is None:
        raise missing("id", "API key")
    await writes.revoke(writing.connection, found.user_id, key)
    return RevokeApiKeyPayload(api_key_id=key)
