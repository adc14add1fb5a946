"""Signing in and out."""

from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid4

import structlog

from cache.answers import AnswerCache
from db.changes import announce_end
from db.engine import Database
from db.writes import sessions, users
from db.writes.refusals import Problem, WriteRefused
from db.writes.sessions import Outcome
from graph.identity.access_tokens import AccessTokens
from graph.identity.passwords import Passwords, TooBusy
from graph.identity.secrets import hash_of, new_refresh_token, session_of
from graph.identity.throttle import Throttle

log = structlog.get_logger("candlegraph.identity")


class Tokens(NamedTuple):
    user_id: int
    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class Accounts:
    access_tokens: AccessTokens
    throttle: Throttle
    passwords: Passwords = field(default_factory=Passwords)

    async def login(self, database: Database, client: str, username: str, password: str) -> Tokens:
        """Begin a session. Raises WriteRefused, which does not tell whether it was the name or the password."""
        wait = await self.throttle.begin(client, username)
        if wait is not None:
            raise _refused("TOO_MANY_ATTEMPTS", f"Too many attempts: try again in {wait:.0f} seconds.")
        async with database.transaction() as connection:
            user = await users.find(connection, username)
        try:
            verified = await self.passwords.verify(password, user.password_hash if user else None)
        except TooBusy:
            # Nothing was tried.
            self.throttle.succeeded(client, username)
            raise _refused("TOO_BUSY", "Too many are signing in at once: try again in a moment.") from None
        if user is None or not user.is_active or not verified.ok:
            raise _refused("INVALID_CREDENTIALS", "This is not the name and the password of a user who may sign in.")
        self.throttle.succeeded(client, username)
        session_id = uuid4()
        refresh_token = new_refresh_token(session_id)
        async with database.transaction() as connection:
            if verified.new_hash is not None:
                await users.store_hash(connection, user.id, verified.new_hash)
            await sessions.begin(connection, session_id, user.id, hash_of(refresh_token))
        log.info("signed_in", user_id=user.id)
        return self._tokens(user.id, session_id, refresh_token)

    async def refresh(self, database: Database, cache: AnswerCache, refresh_token: str) -> Tokens:
        """Give a session new tokens, for its latest refresh token. Raises WriteRefused.

        An earlier one ends the session: once that is told, its access tokens are worth nothing here either.
        """
        session_id = session_of(refresh_token)
        if session_id is None:
            raise _signed_out()
        new_token = new_refresh_token(session_id)
        async with database.transaction() as connection:
            rotation = await sessions.rotate(connection, session_id, hash_of(refresh_token), hash_of(new_token))
            ended = await announce_end(connection) if rotation.outcome is Outcome.REUSED else None
        if ended is not None:
            await cache.until_heard(ended)
            log.warning("refresh_token_reused", user_id=rotation.user_id)
        if rotation.outcome is not Outcome.ROTATED or rotation.user_id is None:
            raise _signed_out()
        return self._tokens(rotation.user_id, session_id, new_token)

    def _tokens(self, user_id: int, session_id: UUID, refresh_token: str) -> Tokens:
        return Tokens(user_id, self.access_tokens.issue(user_id, session_id), refresh_token)


def _refused(code: str, message: str) -> WriteRefused:
    return WriteRefused(Problem(code, (), message))


def _signed_out() -> WriteRefused:
    return _refused("SIGNED_OUT", "This refresh token is of no use any more: sign in again.")
