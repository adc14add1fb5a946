from datetime import datetime

import strawberry

from graph.compiler.policy import CacheControl, CacheControlScope
from graph.fields import Node
from graph.identity.scopes import Scope


# Its last use is noted without telling anybody, so it is read each time.
@strawberry.type(
    description="What a program signs in with. The key itself is shown once, when it is made.",
    directives=[CacheControl(max_age=0, scope=CacheControlScope.PRIVATE)],
)
class ApiKey(Node):
    name: str = strawberry.field(description="What it is for.")
    prefix: str = strawberry.field(description="How it begins, after cg_: enough to tell it from others.")
    scopes: list[Scope] = strawberry.field(description="What it may be used for.")
    expires_at: datetime | None = strawberry.field(description="When it ends; null: never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked; null while it is not.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute.")
    created_at: datetime = strawberry.field(description="When it was made.")
