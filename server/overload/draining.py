"""Whether the server is about to stop: balancers are told, so that they send nobody here."""

from starlette.requests import Request

# Where the state that requests see holds it. A server without such a state never drains.
STATE = "draining"


class Draining:
    def __init__(self) -> None:
        self.has_begun = False


def is_draining(request: Request) -> bool:
    draining: Draining | None = getattr(request.state, STATE, None)
    return draining is not None and draining.has_begun
