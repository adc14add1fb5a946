"""Whose a token is: looked up once, and again when anything has changed that could decide otherwise."""

import time
from collections.abc import Hashable
from typing import Any, NamedTuple
from uuid import UUID

from cache.answers import AnswerCache
from cache.memory import MemoryCache
from db.engine import Database
from db.queries import identities
from db.writes import api_keys
from graph.identity.access_tokens import AccessTokens, InvalidToken
from graph.identity.api_keys import ApiKey
from graph.identity.scopes import Scope, including

# What decides over them.
TABLES = ("users", "api_keys", "sessions")
MAX_KEPT = 10_000
KEPT_BYTES = 1_000
FOR_EVER = float("inf")


class Identity(NamedTuple):
    """user_id: who signed in, or whose the key is. expires_at: of what proves it, in seconds since 1970."""

    user_id: int
    scopes: frozenset[Scope]
    expires_at: float
    key_id: int | None = None
    session_id: UUID | None = None


class _Memory(MemoryCache[tuple[Hashable, Identity]]):
    min_uses = 1


class Identities:
    """Remembers, for as long as changes are heard."""

    def __init__(self, database: Database, cache: AnswerCache, access_tokens: AccessTokens) -> None:
        self._database = database
        self._cache = cache
        self._access_tokens = access_tokens
        self._known = _Memory(max_entries=MAX_KEPT, max_bytes=MAX_KEPT * KEPT_BYTES)
        self._touched: dict[int, float] = {}

    async def of(self, token: str) -> Identity | None:
        """Whose access token or API key this is; None where it is worth nothing. Raises a db.errors.DatabaseError."""
        if (key := ApiKey.parse(token)) is not None:
            return await self._known_or_found(key.hash)
        try:
            claims = self._access_tokens.read(token)
        except InvalidToken:
            return None
        identity = await self._known_or_found(claims.session_id)
        return identity if identity is not None and identity.user_id == claims.user_id else None

    async def _known_or_found(self, credential: Any) -> Identity | None:
        # Taken before the look: what changes meanwhile is heard after.
        stamp = self._cache.stamp(TABLES)
        kept = self._known.get(credential)
        if stamp is not None and kept is not None and kept[0] == stamp and kept[1].expires_at > time.time():
            identity: Identity | None = kept[1]
        else:
            identity = await self._look_up(credential)
            if stamp is not None and identity is not None:
                self._known.put(credential, (stamp, identity), KEPT_BYTES)
        if identity is not None and identity.key_id is not None:
            await self._note_use(identity.key_id)
        return identity

    async def _look_up(self, credential: Any) -> Identity | None:
        of_key = isinstance(credential, bytes)
        rows = identities.of_api_key(credential) if of_key else identities.of_session(credential)
        # A transaction, since what is looked at is behind the row_security.
        async with self._database.transaction() as connection:
            row = (await connection.execute(rows)).one_or_none()
        if row is None:
            return None
        expires_at = row.expires_at.timestamp() if row.expires_at else FOR_EVER
        allowed = including(Scope if row.is_admin else (Scope.WRITE,))
        if of_key:
            return Identity(row.user_id, allowed & including(map(Scope, row.scopes)), expires_at, key_id=row.key_id)
        return Identity(row.user_id, allowed, expires_at, session_id=credential)

    async def _note_use(self, key_id: int) -> None:
        now = time.monotonic()
        if now - self._touched.get(key_id, -FOR_EVER) < api_keys.TOUCH_INTERVAL.total_seconds():
            return
        if len(self._touched) >= MAX_KEPT:
            self._touched.clear()
        self._touched[key_id] = now
        async with self._database.transaction() as connection:
            await api_keys.touch(connection, key_id)
