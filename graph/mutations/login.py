import strawberry

from db.queries import users
from db.queries.viewers import Viewer
from graph.compiler.symbols import Row, Rows
from graph.context import Context
from graph.fields import relation
from graph.identity.accounts import Tokens
from graph.mutations.writing import signing
from graph.types.user_errors import Payload
from graph.types.users import User


@strawberry.input(description="Who signs in.")
class LoginInput:
    username: str = strawberry.field(description="The user's name, in any case.")
    password: str = strawberry.field(description="The user's password.")


@strawberry.type(description="A session's tokens.")
class SessionPayload(Payload):
    access_token: str | None = strawberry.field(
        default=None, description="For requests, as Authorization: Bearer …; it ends soon."
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="For refresh, once. Whoever has it has the session: keep it from scripts.",
    )
    expires_in: int | None = strawberry.field(default=None, description="The seconds until the access token ends.")
    user_id: strawberry.Private[int | None] = None

    @relation(User | None, "Who signed in. What is theirs is shown to requests that carry the access token.")
    def user(self: Row) -> Rows:
        return users.by_id(Viewer(self.user_id, sees_all=False), self.user_id)


def shown(tokens: Tokens, expires_in: int) -> SessionPayload:
    return SessionPayload(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=expires_in,
        user_id=tokens.user_id,
    )


@signing("Sign in by name and password.")
async def login(context: Context, given: LoginInput) -> SessionPayload:
    accounts = context.accounts
    tokens = await accounts.login(context.database, context.caller.client, given.username, given.password)
    return shown(tokens, accounts.access_tokens.lifetime_seconds)
