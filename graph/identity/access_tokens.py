"""Access tokens: JSON Web Tokens that say, for a few minutes, whose session a request belongs to.

One algorithm (HMAC with SHA-256), one issuer, one audience. The key that signs is named in the head (kid), so that it
can be replaced: those before it go on verifying until their tokens have ended.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import jwt

ALGORITHM = "HS256"
LIFETIME_SECONDS = 600
# No token of ours is as long.
MAX_LENGTH = 1_000
REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp"]


class InvalidToken(Exception):
    """The token is none of ours, was changed, or has ended."""


class Claims(NamedTuple):
    user_id: int
    session_id: UUID


class AccessTokens:
    """secrets: the first signs, all verify."""

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        issuer: str = "candlegraph",
        audience: str = "candlegraph",
        lifetime_seconds: int = LIFETIME_SECONDS,
    ) -> None:
        keys = [_derived(secret) for secret in secrets]
        self._keys = {_name(key): key for key in keys}
        self._signing = _name(keys[0])
        self._issuer = issuer
        self._audience = audience
        self.lifetime_seconds = lifetime_seconds

    def issue(self, user_id: int, session_id: UUID) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": session_id.hex,
            "iat": now,
            "exp": now + self.lifetime_seconds,
        }
        return jwt.encode(claims, self._keys[self._signing], ALGORITHM, {"kid": self._signing})

    def read(self, token: str) -> Claims:
        """Raises InvalidToken."""
        try:
            if len(token) > MAX_LENGTH:
                raise InvalidToken
            key = self._keys[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(
                token,
                key,
                [ALGORITHM],
                {"require": REQUIRED, "strict_aud": True},
                audience=self._audience,
                issuer=self._issuer,
            )
            user_id = int(claims["sub"])
            if not 0 < user_id < 2**63:
                raise InvalidToken
            return Claims(user_id, UUID(claims["sid"]))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError):
            raise InvalidToken from None


def _derived(secret: str) -> bytes:
    """A key for this purpose alone."""
    return hmac.digest(secret.encode(), b"candlegraph access tokens", hashlib.sha256)


def _name(key: bytes) -> str:
    return hashlib.sha256(b"name of " + key).hexdigest()[:8]
