"""The mutation refresh."""

import strawberry

from graph.context import Context
from graph.mutations.login import SessionPayload, session_payload
from graph.mutations.writing import session_mutation


@strawberry.input(description="Input of `refresh`.")
class RefreshInput:
    refresh_token: str = strawberry.field(
        description="The newest refresh token of the session. A used one ends the session."
    )


@session_mutation(
    "Get a new access token and a new refresh token for a session. The old refresh token becomes invalid."
)
async def refresh(context: Context, input_: RefreshInput) -> SessionPayload:
    tokens = await context.accounts.refresh(context.database, context.feed, input_.refresh_token)
    return session_payload(tokens, context.accounts.access_tokens.lifetime_seconds)
