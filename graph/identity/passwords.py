"""Passwords: hashed with argon2id, in threads of their own, so that hashing does not block the event loop."""

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

# Characters. NIST SP 800-63B: require a minimum length, and no rules of composition, which weaken passwords.
MIN_LENGTH, MAX_LENGTH = 10, 200
THREADS, MAX_WAITING = 2, 32
# OWASP's parameters with the least memory: 21 ms of one core here; the defaults of pwdlib (64 MiB, four lanes) take
# 108 ms of all cores. Login attempts must not use up the machine.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
Result = TypeVar("Result")


class InvalidPassword(Exception):
    """A new password that is too short, too long or not valid Unicode. code is for clients."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PasswordQueueFull(Exception):
    """Too many passwords wait to be hashed."""

    def __init__(self) -> None:
        super().__init__("Too many passwords are being checked.")


class Verified(NamedTuple):
    """Whether the password is correct; and a new hash to store, if the stored one has other parameters."""

    ok: bool
    new_hash: str | None


class Passwords:
    """Two threads hash, and at most 32 passwords wait for them. Use it in one event loop at a time."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> None:
        hasher = Argon2Hasher(passes, memory_kib, LANES, _HASH_BYTES, _SALT_BYTES)
        self._argon2 = PasswordHash([hasher])
        # Matches no password: its salt and hash are random. Checking a password against it takes the usual time.
        salt, digest = _random_base64(_SALT_BYTES), _random_base64(_HASH_BYTES)
        self._dummy_hash = f"$argon2id$v=19$m={memory_kib},t={passes},p={LANES}${salt}${digest}"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._slots = BoundedSemaphore(THREADS + MAX_WAITING)

    async def hash(self, password: str) -> str:
        """The hash to store for a new password. Raises InvalidPassword or PasswordQueueFull."""
        check(password)
        return await self._in_thread(lambda: self._argon2.hash(_normalized(password)))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Check a password against a stored hash. Raises PasswordQueueFull.

        stored: None for an unknown user; not a hash (such as "!") for a user without a password. Both take as long as a
        wrong password: a difference would reveal which names exist.
        """
        return await self._in_thread(lambda: self._verify(password, stored))

    def _verify(self, password: str, stored: str | None) -> Verified:
        if not _is_text(password) or len(password) > MAX_LENGTH:
            password, stored = "", None
        password = _normalized(password)
        try:
            return Verified(*self._argon2.verify_and_update(password, self._dummy_hash if stored is None else stored))
        except UnknownHashError:
            return Verified(*self._argon2.verify_and_update(password, self._dummy_hash))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if not self._slots.acquire(blocking=False):
            raise PasswordQueueFull
        running: Future[Result] = self._threads.submit(work)
        # Not when the caller is cancelled: the thread may still be hashing.
        running.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Accept no more passwords. Hashing that has begun runs to its end; this does not wait for it."""
        self._threads.shutdown(wait=False)


def check(password: str) -> None:
    """Raises InvalidPassword for a text that cannot be a new password."""
    if not _is_text(password):
        raise InvalidPassword("INVALID_TEXT", "A password must not contain unpaired surrogates (half of a character).")
    if len(password) > MAX_LENGTH or len(_normalized(password)) > MAX_LENGTH:
        raise InvalidPassword("PASSWORD_TOO_LONG", f"A password has at most {MAX_LENGTH} characters.")
    if len(_normalized(password)) < MIN_LENGTH:
        raise InvalidPassword("PASSWORD_TOO_SHORT", f"A password has at least {MIN_LENGTH} characters.")


def _normalized(password: str) -> str:
    """In NFKC, as NIST advises: the same text is the same password, however a keyboard composes its characters."""
    return unicodedata.normalize("NFKC", password)


def _is_text(password: str) -> bool:
    """Whether it can be encoded in UTF-8: a JSON string can contain unpaired surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in password)


def _random_base64(count: int) -> str:
    return b64encode(secrets.token_bytes(count)).decode().rstrip("=")
