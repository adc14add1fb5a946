"""Refresh tokens: cgr_<session id>_<secret>. Each is good once; the next one comes with the answer."""

import re
from dataclasses import dataclass, field
from uuid import UUID

from graph.identity.random_secrets import SECRET_LENGTH, hash_of

_SHAPE = re.compile(rf"cgr_(?P<session>[0-9a-f]{{32}})_(?P<secret>[0-9A-Za-z]{{{SECRET_LENGTH}}})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A session begins with the hash of a new secret; then its id is known, and the token with it."""

    session_id: UUID
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RefreshToken | None":
        """None where the text is no token that we could have made."""
        found = _SHAPE.fullmatch(text)
        return None if found is None else cls(UUID(found["session"]), found["secret"])

    @property
    def text(self) -> str:
        """What the client keeps."""
        return f"cgr_{self.session_id.hex}_{self.secret}"

    @property
    def hash(self) -> bytes:
        """What is stored: of the secret alone."""
        return hash_of(self.secret)
