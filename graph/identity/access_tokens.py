"""Access tokens: JWTs that are valid for minutes, signed with a key derived from SECRET_KEY."""

import hmac
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

import jwt

ALGORITHM = "HS256"
LIFETIME_SECONDS = 600
# Issued tokens have less than 300 characters. Longer texts are rejected without decoding.
MAX_LENGTH = 1_024
# Tolerated difference between the clocks of two servers.
LEEWAY_SECONDS = 5
# Verifying a token takes 80 µs, and a client sends the same token with each request.
VERIFIED_CACHE_SIZE = 4_096
REQUIRED_CLAIMS = ["iss", "aud", "sub", "sid", "iat", "exp"]
_FORMAT = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
MAX_USER_ID = 2**63 - 1
_SESSION_ID = re.compile(r"[0-9a-f]{32}")


class InvalidToken(Exception):
    """The token is not a valid one of ours, or has expired. A client whose token has expired can refresh it."""

    def __init__(self, reason: Literal["expired", "invalid"]) -> None:
        super().__init__(f"The access token is {reason}." if reason == "invalid" else "The access token has expired.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """Validated claims of an access token."""

    user_id: int
    session_id: UUID
    expires_at: datetime


class AccessTokens:
    """Signs with the first secret, and accepts signatures of all of them.

    To rotate secrets, put the new one first, and remove the old one after the lifetime of a token. A secret may serve
    other purposes as well, because the signing key is derived from it. kid identifies the key without revealing it.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        *,
        issuer: str = "candlegraph",
        audience: str = "candlegraph",
        lifetime_seconds: int = LIFETIME_SECONDS,
    ) -> None:
        if not secrets:
            raise ValueError("Access tokens cannot be signed without a secret.")
        keys = [_derive_key(secret.encode(), "access tokens") for secret in secrets]
        self._keys = {_derive_key(key, "kid").hex()[:8]: key for key in reversed(keys)}
        self._kid = next(kid for kid, key in self._keys.items() if key == keys[0])
        self._issuer = issuer
        self._audience = audience
        self.lifetime_seconds = lifetime_seconds
        self._verify_cached = lru_cache(VERIFIED_CACHE_SIZE)(self._verify)

    def issue(self, user_id: int, session_id: UUID) -> str:
        """A new token for a user's session, valid for lifetime_seconds."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": session_id.hex,
            "iat": now,
            "exp": now + self.lifetime_seconds,
        }
        return jwt.encode(claims, self._keys[self._kid], ALGORITHM, {"kid": self._kid})

    def read(self, token: str) -> Claims:
        """The claims of a token. Raises InvalidToken."""
        if len(token) > MAX_LENGTH or not _FORMAT.fullmatch(token):
            raise InvalidToken("invalid")
        claims = self._verify_cached(token)
        if claims.expires_at.timestamp() <= time.time() - LEEWAY_SECONDS:
            raise InvalidToken("expired")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                [ALGORITHM],
                {"require": REQUIRED_CLAIMS, "strict_aud": True},
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("expired") from None
        except jwt.PyJWTError:
            raise InvalidToken("invalid") from None
        return _validated(claims)

    def _key_of(self, token: str) -> bytes:
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidToken("invalid")
        return key


def _validated(claims: dict[str, Any]) -> Claims:
    """The claims, if this server could have issued them: other software may sign with the same secret."""
    user_id, session_id, expires = claims["sub"], claims["sid"], claims["exp"]
    if not (
        _USER_ID.fullmatch(user_id)
        and int(user_id) <= MAX_USER_ID
        and isinstance(session_id, str)
        and _SESSION_ID.fullmatch(session_id)
        and isinstance(expires, int)
    ):
        raise InvalidToken("invalid")
    try:
        expires_at = datetime.fromtimestamp(expires, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidToken("invalid") from None
    return Claims(int(user_id), UUID(session_id), expires_at)


def _derive_key(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose. It reveals neither the secret nor keys for other purposes (like HKDF-Expand)."""
    return hmac.digest(secret, f"candlegraph {purpose}".encode(), sha256)
