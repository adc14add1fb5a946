import strawberry

from db.writes import sessions
from graph.mutations.writing import Writing, mutation
from graph.types.user_errors import Payload


@strawberry.input(description="What to sign out of.")
class LogoutInput:
    everywhere: bool = strawberry.field(default=False, description="All sessions of the user, not only this one.")


@strawberry.type(description="What became of logout.")
class LogoutPayload(Payload):
    signed_out: bool = strawberry.field(default=False, description="Whether there was a session to end.")


@mutation("End the session whose access token the request carries, at once.", scope=None)
async def logout(writing: Writing, given: LogoutInput) -> LogoutPayload:
    caller = writing.caller
    if given.everywhere and caller.user_id is not None:
        await sessions.revoke_all(writing.connection, caller.user_id)
    elif caller.session_id is not None:
        await sessions.revoke(writing.connection, caller.session_id)
    else:
        return LogoutPayload()
    return LogoutPayload(signed_out=True)
