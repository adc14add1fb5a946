"""Access tokens: JWTs that live for minutes, signed by a key that comes of SECRET_KEY."""

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
# Ours have less than 300. Nothing longer is decoded.
MAX_LENGTH = 1_024
# So much the clocks of two servers may differ.
LEEWAY_SECONDS = 5
# To verify one takes 80 µs, and the same come again and again.
REMEMBERED = 4_096
REQUIRED = ["iss", "aud", "sub", "sid", "iat", "exp"]
_SHAPE = re.compile(r"[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+")
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
MAX_USER_ID = 2**63 - 1
_SESSION_ID = re.compile(r"[0-9a-f]{32}")


class InvalidToken(Exception):
    """The token says nothing that can be believed. A client whose token has expired may refresh it."""

    def __init__(self, reason: Literal["expired", "invalid"]) -> None:
        super().__init__(f"The access token is {reason}." if reason == "invalid" else "The access token has expired.")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    user_id: int
    session_id: UUID
    expires_at: datetime


class AccessTokens:
    """Signs by the first secret, and believes all of them.

    To change a secret, put the new one first, and take the old one away when the lifetime of a token has passed.
    A secret may serve other purposes as well: the key is derived from it. kid names the key without telling of it.
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
            raise ValueError("Nothing can be signed without a secret.")
        keys = [_derived(secret.encode(), "access tokens") for secret in secrets]
        self._keys = {_derived(key, "kid").hex()[:8]: key for key in reversed(keys)}
        self._kid = next(kid for kid, key in self._keys.items() if key == keys[0])
        self._issuer = issuer
        self._audience = audience
        self.lifetime_seconds = lifetime_seconds
        self._verified = lru_cache(REMEMBERED)(self._verify)

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
        return jwt.encode(claims, self._keys[self._kid], ALGORITHM, {"kid": self._kid})

    def read(self, token: str) -> Claims:
        """Raises InvalidToken."""
        if len(token) > MAX_LENGTH or not _SHAPE.fullmatch(token):
            raise InvalidToken("invalid")
        claims = self._verified(token)
        if claims.expires_at.timestamp() <= time.time() - LEEWAY_SECONDS:
            raise InvalidToken("expired")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                [ALGORITHM],
                {"require": REQUIRED, "strict_aud": True},
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
            )
        except jwt.ExpiredSignatureError:
            raise InvalidToken("expired") from None
        except jwt.PyJWTError:
            raise InvalidToken("invalid") from None
        return _read(claims)

    def _key_of(self, token: str) -> bytes:
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise InvalidToken("invalid")
        return key


def _read(claims: dict[str, Any]) -> Claims:
    """What is signed is still checked: other software might sign by the same secret."""
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


def _derived(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose, from which neither the secret nor the key for another can be told (as HKDF expands)."""
    return hmac.digest(secret, f"candlegraph {purpose}".encode(), sha256)
