"""Limits on login attempts: passwords cannot be guessed, and an attacker cannot lock the account of another user."""

import hashlib

from cache.buckets import Buckets, Rate

# Attempts of one client for one user name; of one client for all names; of all clients for one name.
PER_PAIR = Rate(capacity=10, per_second=1 / 30)
PER_CLIENT = Rate(capacity=50, per_second=1 / 10)
PER_NAME = Rate(capacity=200, per_second=1 / 5)


class Throttle:
    """Counts login attempts in token buckets. Only failed attempts stay counted."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    async def count_attempt(self, client: str, username: str) -> float | None:
        """Count an attempt. None if it is allowed, otherwise the seconds until one is."""
        for key, rate in _bucket_keys(client, username):
            level = await self._buckets.take(key, 1, rate)
            if not level.allowed:
                return level.retry_after or 0
        return None

    def uncount_attempt(self, client: str, username: str) -> None:
        """Take back an attempt that succeeded, or that checked no password."""
        for key, rate in _bucket_keys(client, username):
            self._buckets.give_back(key, 1, rate)


def _bucket_keys(client: str, username: str) -> list[tuple[str, Rate]]:
    # A hash, because clients choose the names: keys stay short.
    name = hashlib.blake2b(username.lower().encode(), digest_size=12).hexdigest()
    return [
        (f"login:{client}:{name}", PER_PAIR),
        (f"login:{client}", PER_CLIENT),
        (f"login:{name}", PER_NAME),
    ]
