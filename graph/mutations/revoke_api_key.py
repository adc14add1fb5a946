"""The mutation revokeApiKey."""

from typing import Any

import strawberry

from db.queries import api_keys
from db.writes import api_keys as writes
from db.writes.validation import not_found
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import primary_key, relation
from graph.mutations.writing import MutationContext, mutation
from graph.types.api_keys import ApiKey
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `revokeApiKey`.")
class RevokeApiKeyInput:
    id: strawberry.ID = strawberry.field(description="Global id of the API key.")


@strawberry.type(description="Result of `revokeApiKey`.")
class RevokeApiKeyPayload(Payload):
    api_key_id: strawberry.Private[int | None] = None

    @relation(ApiKey | None, "The revoked key; null if there are userErrors.")
    def api_key(self: Row, info: Info) -> Rows:
        return api_keys.by_id(info.context.viewer, self.api_key_id)


@mutation("Revoke one of your API keys. It is invalid from then on, and this cannot be undone.")
async def revoke_api_key(context: MutationContext, input_: RevokeApiKeyInput) -> RevokeApiKeyPayload:
    key: Any = primary_key("ApiKey", input_.id, ["id"])
    found = (await context.connection.execute(api_keys.by_id(context.viewer, key))).one_or_none()
    if found is None:
        raise not_found("id", "API key")
    await writes.revoke(context.connection, found.user_id, key)
    return RevokeApiKeyPayload(api_key_id=key)
