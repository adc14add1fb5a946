"""Passwords: argon2id, in few threads, so that many logins at once take neither all memory nor the whole machine."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

Result = TypeVar("Result")
# Each takes 64 MiB and about a tenth of a second.
THREADS = 2
MAX_WAITING = 32
SHORTEST, LONGEST = 10, 200
# Before it is brought to a form in which as many characters may be fewer.
LONGEST_READ = 4 * LONGEST


class TooBusy(Exception):
    """So many passwords are being looked at that this one would wait too long."""


class Verified(NamedTuple):
    """new_hash: to be stored instead, where the present one was made with less care than is taken now."""

    ok: bool
    new_hash: str | None = None


class Passwords:
    def __init__(self, hasher: Argon2Hasher | None = None) -> None:
        self._passwords = PasswordHash((hasher or Argon2Hasher(),))
        self._threads = ThreadPoolExecutor(THREADS, "passwords")
        self._places = THREADS + MAX_WAITING
        # What is verified where there is no such user: it takes as long.
        self._nobodys = self._passwords.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Raises TooBusy."""
        return await self._run(lambda: self._passwords.hash(_normal(password)))

    async def verify(self, password: str, stored: str | None) -> Verified:
        """Whether this is the password behind a hash; None, and what is no hash, take as long. Raises TooBusy."""
        return await self._run(lambda: self._verify(password, stored))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, stored: str | None) -> Verified:
        try:
            # To look at more than any password has would take longer than to hash one.
            if stored is not None and len(password) <= LONGEST_READ:
                return Verified(*self._passwords.verify_and_update(_normal(password), stored))
        except UnknownHashError:
            # Such as that of a user who may not sign in.
            pass
        self._passwords.verify(password[:LONGEST], self._nobodys)
        return Verified(False)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if not self._places:
            raise TooBusy
        self._places -= 1
        try:
            # Whoever waits may leave: what has begun goes on, and its place is free when it ends.
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._places += 1


def problem_of(password: str) -> str | None:
    """Why this will not do as a password. Length is what counts (NIST SP 800-63B), so nothing else is asked for."""
    if SHORTEST <= len(_normal(password)) <= LONGEST:
        return None
    return f"A password has {SHORTEST} to {LONGEST} characters."


def _normal(password: str) -> str:
    """The same for what looks the same, whatever keyboard it was typed on."""
    return unicodedata.normalize("NFKC", password)
