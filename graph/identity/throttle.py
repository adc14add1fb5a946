"""How often somebody may try to sign in: passwords are not found by trying, nor accounts locked by strangers."""

import hashlib

from cache.buckets import Buckets, Rate

# Of one address for one name; of one address for all names; of all addresses for one name.
PAIR = Rate(capacity=10, per_second=1 / 30)
ADDRESS = Rate(capacity=50, per_second=1 / 10)
NAME = Rate(capacity=200, per_second=1 / 5)


class Throttle:
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    async def begin(self, client: str, username: str) -> float | None:
        """Begin an attempt; None if it may go on, else the seconds until the next."""
        for key, rate in _buckets_of(client, username):
            level = await self._buckets.take(key, 1, rate)
            if not level.allowed:
                return level.retry_after or 0
        return None

    def succeeded(self, client: str, username: str) -> None:
        """Only attempts that fail count."""
        for key, rate in _buckets_of(client, username):
            self._buckets.give_back(key, 1, rate)


def _buckets_of(client: str, username: str) -> list[tuple[str, Rate]]:
    # Clients choose names: what is kept of them is short.
    name = hashlib.blake2b(username.lower().encode(), digest_size=12).hexdigest()
    return [(f"login:{client}:{name}", PAIR), (f"login:{client}", ADDRESS), (f"login:{name}", NAME)]
