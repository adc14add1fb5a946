"""Signing in and out."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import structlog

from cache.change_feed import ChangeFeed
from db.changes import announce_end
from db.engine import Database
from db.queries import users as queries
from db.writes import sessions, users
from db.writes.sessions import Outcome
from db.writes.validation import Problem, ValidationError
from graph.identity.access_tokens import AccessTokens
from graph.identity.passwords import Passwords, TooBusy, Verified
from graph.identity.random_secrets import hash_of, new_secret
from graph.identity.refresh_tokens import RefreshToken
from graph.identity.throttle import Throttle

# However often it is refreshed.
SESSION = timedelta(days=30)
WRONG = "This is not the name and the password of a user who may sign in."
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
        """Begin a session. Raises ValidationError, which does not tell whether it was the name or the password."""
        wait = await self.throttle.begin(client, username)
        if wait is not None:
            raise _refused("TOO_MANY_ATTEMPTS", f"Too many attempts: try again in {wait:.0f} seconds.")
        async with database.transaction() as connection:
            user = (await connection.execute(queries.for_login(username))).one_or_none()
        try:
            verified = await self._verified(password, user.password_hash if user else None)
        except ValidationError:
            # Nothing was tried.
            self.throttle.succeeded(client, username)
            raise
        if user is None or not user.is_active or not verified.ok:
            raise _refused("INVALID_CREDENTIALS", WRONG)
        self.throttle.succeeded(client, username)
        return await self._begin(database, user.id, user.password_hash, verified.new_hash)

    async def _verified(self, password: str, stored: str | None) -> Verified:
        try:
            return await self.passwords.verify(password, stored)
        except TooBusy as error:
            raise _refused("TOO_MANY_ATTEMPTS", f"{error} Try again in a moment.") from error

    async def _begin(self, database: Database, user_id: int, verified: str, new_hash: str | None) -> Tokens:
        secret = new_secret()
        async with database.transaction() as connection:
            if new_hash is not None and await users.store_rehash(
                connection, user_id, verified=verified, new_hash=new_hash
            ):
                verified = new_hash
            session_id = await sessions.begin(
                connection, user_id, verified=verified, token_hash=hash_of(secret), lifetime=SESSION
            )
        if session_id is None:
            # Disabled, or given another password, in this moment.
            raise _refused("INVALID_CREDENTIALS", WRONG)
        log.info("signed_in", user_id=user_id)
        return self._tokens(user_id, RefreshToken(session_id, secret))

    async def refresh(self, database: Database, feed: ChangeFeed, refresh_token: str) -> Tokens:
        """Give a session new tokens, for its latest refresh token. Raises ValidationError.

        An earlier one ends the session: once that is told, its access tokens are worth nothing here either.
        """
        shown = RefreshToken.parse(refresh_token)
        if shown is None:
            raise _signed_out()
        new = RefreshToken(shown.session_id, new_secret())
        async with database.transaction() as connection:
            rotation = await sessions.rotate(connection, shown.session_id, presented=shown.hash, new_hash=new.hash)
            ended = await announce_end(connection) if rotation.outcome is Outcome.REUSED else None
        if ended is not None:
            await feed.wait_until_seen(ended)
        if rotation.outcome is Outcome.REUSED:
            log.warning("refresh_token_reused", user_id=rotation.user_id)
        if rotation.outcome is not Outcome.ROTATED or rotation.user_id is None:
            raise _signed_out()
        return self._tokens(rotation.user_id, new)

    def _tokens(self, user_id: int, refresh_token: RefreshToken) -> Tokens:
        access_token = self.access_tokens.issue(user_id, refresh_token.session_id)
        return Tokens(user_id, access_token, refresh_token.text)


def _refused(code: str, message: str) -> ValidationError:
    return ValidationError(Problem(code, (), message))


def _signed_out() -> ValidationError:
    return _refused("SIGNED_OUT", "This refresh token is of no use any more: sign in again.")
