"""The identity behind a token: looked up once, and again after any change that could affect it."""

import time
from collections.abc import Hashable
from typing import Any, NamedTuple
from uuid import UUID

from cache.change_feed import ChangeFeed
from cache.memory import MemoryCache
from db.engine import Database
from db.queries import identities
from db.writes import api_keys
from graph.identity.access_tokens import AccessTokens, InvalidToken
from graph.identity.api_keys import ApiKey
from graph.identity.scopes import Scope, including

# The tables that identities depend on.
TABLES = ("users", "api_keys", "sessions")
MAX_IDENTITIES = 10_000
IDENTITY_BYTES = 1_000
NEVER = float("inf")


class Identity(NamedTuple):
    """A user, by a session or an API key. expires_at: of the session or key, in seconds since 1970."""

    user_id: int
    scopes: frozenset[Scope]
    expires_at: float
    key_id: int | None = None
    session_id: UUID | None = None


class _IdentityMemory(MemoryCache[tuple[Hashable, Identity]]):
    min_uses = 1


class Identities:
    """Caches identities while the change feed is listening; each is valid for one stamp of its tables."""

    def __init__(self, database: Database, feed: ChangeFeed, access_tokens: AccessTokens) -> None:
        self._database = database
        self._feed = feed
        self._access_tokens = access_tokens
        self._memory = _IdentityMemory(max_entries=MAX_IDENTITIES, max_bytes=MAX_IDENTITIES * IDENTITY_BYTES)
        # When the use of each key was last written.
        self._used_at: dict[int, float] = {}

    async def of(self, token: str) -> Identity | None:
        """The identity of an access token or API key; None if it is not valid. Raises a db.errors.DatabaseError."""
        if (key := ApiKey.parse(token)) is not None:
            return await self._find(key.hash)
        try:
            claims = self._access_tokens.read(token)
        except InvalidToken:
            return None
        identity = await self._find(claims.session_id)
        return identity if identity is not None and identity.user_id == claims.user_id else None

    async def _find(self, credential: Any) -> Identity | None:
        # Taken before the query: a change during it arrives later, and makes this stamp outdated.
        stamp = self._feed.stamp(TABLES)
        cached = self._memory.get(credential)
        if stamp is not None and cached is not None and cached[0] == stamp and cached[1].expires_at > time.time():
            identity: Identity | None = cached[1]
        else:
            identity = await self._look_up(credential)
            if stamp is not None and identity is not None:
                self._memory.put(credential, (stamp, identity), IDENTITY_BYTES)
        if identity is not None and identity.key_id is not None:
            await self._record_use(identity.key_id)
        return identity

    async def _look_up(self, credential: Any) -> Identity | None:
        is_key = isinstance(credential, bytes)
        rows = identities.of_api_key(credential) if is_key else identities.of_session(credential)
        # A transaction, since row security protects these tables.
        async with self._database.transaction() as connection:
            row = (await connection.execute(rows)).one_or_none()
        if row is None:
            return None
        expires_at = row.expires_at.timestamp() if row.expires_at else NEVER
        allowed = including(Scope if row.is_admin else (Scope.WRITE,))
        if is_key:
            return Identity(row.user_id, allowed & including(map(Scope, row.scopes)), expires_at, key_id=row.key_id)
        return Identity(row.user_id, allowed, expires_at, session_id=credential)

    async def _record_use(self, key_id: int) -> None:
        now = time.monotonic()
        if now - self._used_at.get(key_id, -NEVER) < api_keys.TOUCH_INTERVAL.total_seconds():
            return
        if len(self._used_at) >= MAX_IDENTITIES:
            self._used_at.clear()
        self._used_at[key_id] = now
        async with self._database.transaction() as connection:
            await api_keys.touch(connection, key_id)
