"""The mutation login, and the payload that refresh returns as well."""

import strawberry

from db.queries import users
from db.queries.viewers import Viewer
from graph.compiler.symbols import Row, Rows
from graph.context import Context
from graph.fields import relation
from graph.identity.accounts import Tokens
from graph.mutations.writing import session_mutation
from graph.types.user_errors import Payload
from graph.types.users import User


@strawberry.input(description="Input of `login`.")
class LoginInput:
    username: str = strawberry.field(description="User name; case does not matter.")
    password: str = strawberry.field(description="Password of the user.")


@strawberry.type(description="Result of `login` and `refresh`: the tokens of a session.")
class SessionPayload(Payload):
    access_token: str | None = strawberry.field(
        default=None,
        description="Access token for the header `Authorization: Bearer …`, valid for expiresIn seconds. null if there "
        "are userErrors.",
    )
    refresh_token: str | None = strawberry.field(
        default=None,
        description="Refresh token, for one call of `refresh`. It grants access to the session: store it where scripts "
        "of a page cannot read it. null if there are userErrors.",
    )
    expires_in: int | None = strawberry.field(
        default=None, description="Seconds until the access token expires; null if there are userErrors."
    )
    user_id: strawberry.Private[int | None] = None

    @relation(
        User | None,
        "User of the session; null if there are userErrors. To read private data, such as trades, send a request with "
        "the access token.",
    )
    def user(self: Row) -> Rows:
        return users.by_id(Viewer(self.user_id, sees_all=False), self.user_id)


def session_payload(tokens: Tokens, expires_in: int) -> SessionPayload:
    return SessionPayload(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=expires_in,
        user_id=tokens.user_id,
    )


@session_mutation("Sign in with a user name and a password. This starts a session of at most 30 days; see `refresh`.")
async def login(context: Context, input_: LoginInput) -> SessionPayload:
    accounts = context.accounts
    tokens = await accounts.login(context.database, context.caller.client, input_.username, input_.password)
    return session_payload(tokens, accounts.access_tokens.lifetime_seconds)
