"""Passwords: hashed by argon2id, in threads of their own, so that nobody else waits for it."""

import asyncio
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

# NIST SP 800-63B: length is what counts, and rules of composition do harm.
SHORTEST, LONGEST = 10, 200
THREADS, MOST_WAITING = 2, 32
# OWASP's parameters with the least memory: 21 ms of one core here, where pwdlib's own (64 MiB, four lanes) take 108 ms
# of all. Logins must not be a way to take the machine away from everyone else.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
Result = TypeVar("Result")


class UnfitPassword(Exception):
    """A password that nobody may choose: too short, too long, or no text. code is for clients."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TooBusy(Exception):
    """More passwords wait to be hashed than can be hashed in time."""

    def __init__(self) -> None:
        super().__init__("Too many passwords are being checked at this moment.")


class Verified(NamedTuple):
    """Whether it is the password, and the hash to store instead where the parameters have changed."""

    ok: bool
    new_hash: str | None


class Passwords:
    """Two threads hash, and at most 32 passwords wait for them. Belongs to one event loop at a time."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        hasher = Argon2Hasher(passes, memory_kib, LANES, _HASH_BYTES, _SALT_BYTES)
        self._argon2 = PasswordHash([hasher])
        # Of no password: a salt and a hash that are random. To check a password against it takes as long as ever.
        self._of_nobody = (
            f"$argon2id$v=19$m={memory_kib},t={passes},p={LANES}${_random(_SALT_BYTES)}${_random(_HASH_BYTES)}"
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._places = BoundedSemaphore(THREADS + MOST_WAITING)

    async def hash(self, password: str) -> str:
        """What to store of a new password. Raises UnfitPassword or TooBusy."""
        check(password)
        return await self._in_thread(lambda: self._argon2.hash(_normalized(password)))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Whether this is the password of which that hash is stored. Raises TooBusy.

        It takes as long where there is no such user (None), or one who has no password (such as "!"): what differs
        would tell which names exist.
        """
        return await self._in_thread(lambda: self._verify(password, stored))

    def _verify(self, password: str, stored: str | None) -> Verified:
        if not _is_text(password) or len(password) > LONGEST:
            password, stored = "", None
        password = _normalized(password)
        try:
            return Verified(*self._argon2.verify_and_update(password, self._of_nobody if stored is None else stored))
        except UnknownHashError:
            return Verified(*self._argon2.verify_and_update(password, self._of_nobody))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if not self._places.acquire(blocking=False):
            raise TooBusy
        running: Future[Result] = self._threads.submit(work)
        # Not when the client has gone: the thread may be at it still.
        running.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """What has begun is ended, and nothing else may begin."""
        self._threads.shutdown(wait=False)


def check(password: str) -> None:
    """Whether somebody may choose this password. Raises UnfitPassword."""
    if not _is_text(password):
        raise UnfitPassword("INVALID_TEXT", "A password may not hold half a character.")
    if len(password) > LONGEST or len(_normalized(password)) > LONGEST:
        raise UnfitPassword("PASSWORD_TOO_LONG", f"A password has at most {LONGEST} characters.")
    if len(_normalized(password)) < SHORTEST:
        raise UnfitPassword("PASSWORD_TOO_SHORT", f"A password has at least {SHORTEST} characters.")


def _normalized(password: str) -> str:
    """As NIST advises: the same letters are the same password, whatever keyboard composed them."""
    return unicodedata.normalize("NFKC", password)


def _is_text(password: str) -> bool:
    """Whether it can be encoded: JSON can tell of half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in password)


def _random(count: int) -> str:
    return b64encode(secrets.token_bytes(count)).decode().rstrip("=")
