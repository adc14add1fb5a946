"""Refresh tokens: cgr_<session id>_<secret>. Each is valid once; the response to it contains the next one."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from graph.identity.random_secrets import SECRET_LENGTH, hash_of

_FORMAT = re.compile(rf"cgr_(?P<session>[0-9a-f]{{32}})_(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A session is stored with the hash of a new secret. PostgreSQL assigns its id, which completes the token."""

    session_id: UUID
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """None if the text does not have the format of a refresh token."""
        match = _FORMAT.fullmatch(text)
        return None if match is None else cls(UUID(match["session"]), match["secret"])

    @property
    def text(self) -> str:
        """The token as the client stores it."""
        return f"cgr_{self.session_id.hex}_{self.secret}"

    @property
    def hash(self) -> bytes:
        """The stored hash, of the secret only."""
        return hash_of(self.secret)
