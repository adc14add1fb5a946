"""The mutation logout."""

import strawberry

from db.writes import sessions
from graph.mutations.writing import MutationContext, mutation
from graph.types.user_errors import Payload


@strawberry.input(description="Input of `logout`.")
class LogoutInput:
    everywhere: bool = strawberry.field(
        default=False, description="true: end all sessions of the user; false: only the session of this request."
    )


@strawberry.type(description="Result of `logout`.")
class LogoutPayload(Payload):
    signed_out: bool = strawberry.field(
        default=False,
        description="Whether sessions were ended: false for an anonymous request, and for one with an API key unless "
        "everywhere is true.",
    )


@mutation("End the session of the access token of this request. Its tokens are invalid from then on.", scope=None)
async def logout(context: MutationContext, input_: LogoutInput) -> LogoutPayload:
    caller = context.caller
    if input_.everywhere and caller.user_id is not None:
        await sessions.revoke_all(context.connection, caller.user_id)
    elif caller.session_id is not None:
        await sessions.revoke(context.connection, caller.session_id)
    else:
        return LogoutPayload()
    return LogoutPayload(signed_out=True)
