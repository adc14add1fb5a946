"""Whether the server is draining before it stops: /readyz then answers 503, so that load balancers route elsewhere."""

from starlette.requests import Request

# The key in the state of the lifespan, which requests see. A server without it never drains.
STATE = "draining"


class Draining:
    """has_begun: set once, when the server receives the signal to stop."""

    def __init__(self) -> None:
        self.has_begun = False


def is_draining(request: Request) -> bool:
    """Whether the server of this request has begun to drain."""
    draining: Draining | None = getattr(request.state, STATE, None)
    return draining is not None and draining.has_begun
