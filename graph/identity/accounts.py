"""Login and refresh: start sessions and renew their tokens."""

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
from db.writes.validation import FieldError, ValidationError
from graph.identity.access_tokens import AccessTokens
from graph.identity.passwords import PasswordQueueFull, Passwords, Verified
from graph.identity.random_secrets import hash_of, new_secret
from graph.identity.refresh_tokens import RefreshToken
from graph.identity.throttle import Throttle

# From the login on; refreshing does not extend it.
SESSION_LIFETIME = timedelta(days=30)
INVALID_CREDENTIALS = "The user name or the password is wrong, or the account is disabled."
log = structlog.get_logger("candlegraph.identity")


class Tokens(NamedTuple):
    """Tokens of a session, as texts for the client."""

    user_id: int
    access_token: str
    refresh_token: str


@dataclass(frozen=True)
class Accounts:
    """Starts and refreshes sessions."""

    access_tokens: AccessTokens
    throttle: Throttle
    passwords: Passwords = field(default_factory=Passwords)

    async def login(self, database: Database, client: str, username: str, password: str) -> Tokens:
        """Start a session. client: the caller's address or account, for the limit on attempts.

        Raises ValidationError. INVALID_CREDENTIALS does not reveal whether the name or the password is wrong.
        """
        wait = await self.throttle.count_attempt(client, username)
        if wait is not None:
            raise _login_error("TOO_MANY_ATTEMPTS", f"Too many login attempts. Try again in {wait:.0f} seconds.")
        async with database.transaction() as connection:
            user = (await connection.execute(queries.for_login(username))).one_or_none()
        try:
            verified = await self._verify(password, user.password_hash if user else None)
        except ValidationError:
            # No password was checked.
            self.throttle.uncount_attempt(client, username)
            raise
        if user is None or not user.is_active or not verified.ok:
            raise _login_error("INVALID_CREDENTIALS", INVALID_CREDENTIALS)
        self.throttle.uncount_attempt(client, username)
        return await self._start_session(database, user.id, user.password_hash, verified.new_hash)

    async def _verify(self, password: str, stored: str | None) -> Verified:
        try:
            return await self.passwords.verify(password, stored)
        except PasswordQueueFull as error:
            raise _login_error("TOO_MANY_ATTEMPTS", f"{error} Try again in a moment.") from error

    async def _start_session(self, database: Database, user_id: int, verified: str, new_hash: str | None) -> Tokens:
        secret = new_secret()
        async with database.transaction() as connection:
            if new_hash is not None and await users.store_rehash(
                connection, user_id, verified=verified, new_hash=new_hash
            ):
                verified = new_hash
            session_id = await sessions.begin(
                connection, user_id, verified=verified, token_hash=hash_of(secret), lifetime=SESSION_LIFETIME
            )
        if session_id is None:
            # Since the check, the user was disabled or the password was changed.
            raise _login_error("INVALID_CREDENTIALS", INVALID_CREDENTIALS)
        log.info("signed_in", user_id=user_id)
        return self._tokens(user_id, RefreshToken(session_id, secret))

    async def refresh(self, database: Database, feed: ChangeFeed, refresh_token: str) -> Tokens:
        """New tokens for the session of its newest refresh token. Raises ValidationError.

        An older refresh token ends the session. The error is raised once this server rejects its access tokens.
        """
        presented = RefreshToken.parse(refresh_token)
        if presented is None:
            raise _signed_out_error()
        new = RefreshToken(presented.session_id, new_secret())
        async with database.transaction() as connection:
            rotation = await sessions.rotate(
                connection, presented.session_id, presented=presented.hash, new_hash=new.hash
            )
            ended = await announce_end(connection) if rotation.outcome is Outcome.REUSED else None
        if ended is not None:
            await feed.wait_until_seen(ended)
        if rotation.outcome is Outcome.REUSED:
            log.warning("refresh_token_reused", user_id=rotation.user_id)
        if rotation.outcome is not Outcome.ROTATED or rotation.user_id is None:
            raise _signed_out_error()
        return self._tokens(rotation.user_id, new)

    def _tokens(self, user_id: int, refresh_token: RefreshToken) -> Tokens:
        access_token = self.access_tokens.issue(user_id, refresh_token.session_id)
        return Tokens(user_id, access_token, refresh_token.text)


def _login_error(code: str, message: str) -> ValidationError:
    return ValidationError(FieldError(code, (), message))


def _signed_out_error() -> ValidationError:
    return _login_error("SIGNED_OUT", "This refresh token is not valid, or no longer valid. Sign in again.")
