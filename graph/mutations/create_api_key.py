from datetime import datetime

import strawberry

from db.queries import api_keys
from db.writes import api_keys as writes
from db.writes.validation import validation_error
from graph.compiler.symbols import Row, Rows
from graph.context import Info
from graph.fields import relation
from graph.identity.api_keys import ApiKey as Secret
from graph.identity.scopes import Scope, including
from graph.mutations.writing import Writing, mutation
from graph.types.api_keys import ApiKey
from graph.types.user_errors import Payload


@strawberry.input(description="An API key to make.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="What it is for: 1 to 100 characters.")
    scopes: list[Scope] = strawberry.field(description="What it may be used for: no more than you may do yourself.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends; null: never.")


@strawberry.type(description="What became of createApiKey.")
class CreateApiKeyPayload(Payload):
    secret: str | None = strawberry.field(
        default=None, description="The key itself, for Authorization: Bearer …. It is shown this once."
    )
    api_key_id: strawberry.Private[int | None] = None

    @relation(ApiKey | None, "What is known of it from now on.")
    def api_key(self: Row, info: Info) -> Rows:
        return api_keys.by_id(info.context.viewer, self.api_key_id)


@mutation("Make an API key for a program of yours.")
async def create_api_key(writing: Writing, given: CreateApiKeyInput) -> CreateApiKeyPayload:
    if not including(given.scopes) <= writing.caller.scopes:
        raise validation_error("FORBIDDEN", "scopes", "A key may not do more than whoever makes it.")
    new = Secret.new()
    key = await writes.create(
        writing.connection,
        await writing.owner(),
        name=given.name,
        prefix=new.prefix,
        key_hash=new.hash,
        scopes={scope.name for scope in given.scopes},
        expires_at=given.expires_at,
    )
    return CreateApiKeyPayload(secret=new.text, api_key_id=key)
