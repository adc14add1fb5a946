import strawberry

from graph.context import Context
from graph.mutations.login import SessionPayload, shown
from graph.mutations.writing import signing


@strawberry.input(description="A session to go on with.")
class RefreshInput:
    refresh_token: str = strawberry.field(description="The latest refresh token: an earlier one ends the session.")


@signing("Get new tokens for a session. The refresh token is replaced as well.")
async def refresh(context: Context, given: RefreshInput) -> SessionPayload:
    tokens = await context.accounts.refresh(context.database, context.feed, given.refresh_token)
    return shown(tokens, context.accounts.access_tokens.lifetime_seconds)
