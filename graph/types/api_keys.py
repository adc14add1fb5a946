"""The ApiKey type: everything about a key except the key itself."""

from datetime import datetime

import strawberry

from graph.compiler.policy import CacheControl, CacheControlScope
from graph.fields import Node
from graph.identity.scopes import Scope


# Updates of last_used_at are not announced in the change feed, so answers with an API key are never cached.
@strawberry.type(
    description="A key with which a program authenticates. `createApiKey` returns the key itself, once.",
    directives=[CacheControl(max_age=0, scope=CacheControlScope.PRIVATE)],
)
class ApiKey(Node):
    name: str = strawberry.field(description="Name that its user chose, such as the program that uses it.")
    prefix: str = strawberry.field(
        description="The 12 characters of the key after `cg_`. They identify the key and are not secret."
    )
    scopes: list[Scope] = strawberry.field(description="Scopes of requests with this key.")
    expires_at: datetime | None = strawberry.field(description="Time at which the key expires; null: never.")
    revoked_at: datetime | None = strawberry.field(description="Time at which the key was revoked; null: not revoked.")
    last_used_at: datetime | None = strawberry.field(
        description="Time of the last request with this key, accurate to a minute; null: never used."
    )
    created_at: datetime = strawberry.field(description="Time at which the key was created.")
