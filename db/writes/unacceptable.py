class Unacceptable(Exception):
    """What was to be written cannot be, and whoever asked can mend it. Nothing was written.

    field is the GraphQL name of what is wrong, code stays, and the message is written for them.
    """

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
