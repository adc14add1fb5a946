import strawberry


@strawberry.type(description="Something about the input that whoever sent it can mend. Nothing was written.")
class UserError:
    field: list[str] = strawberry.field(
        description='The path of what is wrong, such as ["input", "name"]; numbers count the items of a list from 0.'
    )
    message: str = strawberry.field(description="What is wrong with it, in words.")
    code: str = strawberry.field(description="The same, for programs: it stays as it is.")


@strawberry.interface(description="What became of a mutation.")
class Payload:
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="What is to be mended; empty if all went well."
    )
