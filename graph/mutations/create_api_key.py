"""The mutation createApiKey."""

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
from graph.mutations.writing import MutationContext, mutation
from graph.types.api_keys import ApiKey
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `createApiKey`.")
class CreateApiKeyInput:
    name: str = strawberry.field(
        description="Name of the key, such as the program that uses it: 1 to 100 printable characters."
    )
    scopes: list[Scope] = strawberry.field(
        description="Scopes of requests with the key: one or more of the scopes of this request."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description='Time in the future at which the key expires, such as "now+90d"; null: never.'
    )


@strawberry.type(description="Result of `createApiKey`.")
class CreateApiKeyPayload(Payload):
    secret: str | None = strawberry.field(
        default=None,
        description="The key itself, for the header `Authorization: Bearer …`. Store it: it cannot be read again. null "
        "if there are userErrors.",
    )
    api_key_id: strawberry.Private[int | None] = None

    @relation(ApiKey | None, "The new key, without the key itself; null if there are userErrors.")
    def api_key(self: Row, info: Info) -> Rows:
        return api_keys.by_id(info.context.viewer, self.api_key_id)


@mutation("Create an API key, with which a program can send requests in your name. A user can have up to 100 keys.")
async def create_api_key(context: MutationContext, input_: CreateApiKeyInput) -> CreateApiKeyPayload:
    if not including(input_.scopes) <= context.caller.scopes:
        raise validation_error("FORBIDDEN", "scopes", "A key cannot have more scopes than the request that creates it.")
    new = Secret.new()
    key = await writes.create(
        context.connection,
        await context.owner_id(),
        name=input_.name,
        prefix=new.prefix,
        key_hash=new.hash,
        scopes={scope.name for scope in input_.scopes},
        expires_at=input_.expires_at,
    )
    return CreateApiKeyPayload(secret=new.text, api_key_id=key)
