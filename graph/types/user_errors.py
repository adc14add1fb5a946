"""The interface of all payloads of mutations, and the validation errors of their input."""

import strawberry


@strawberry.type(description="A validation error of the input. The mutation has written nothing.")
class UserError:
    field: list[str] = strawberry.field(
        description='Path of the invalid value, such as ["input", "name"] or ["input", "candles", "0", "high"]. '
        "Indexes of lists start at 0."
    )
    message: str = strawberry.field(description="Message for people. It may change between versions.")
    code: str = strawberry.field(description="Stable code for programs, such as NOT_FOUND or OUT_OF_RANGE.")


@strawberry.interface(description="Result of a mutation.")
class Payload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Validation errors of the input; empty if the mutation succeeded."
    )
