"""A cached answer: its bytes, its dependencies, the snapshot it was read in, and how long it may be served."""

import hashlib
import time
from dataclasses import dataclass, field

from cache.changes import Snapshot, Tag
from cache.tiers import Tier

# In this last share of its lifetime, a request for an answer starts its refresh in the background.
REFRESH_SHARE = 0.1
# Approximate memory of an entry in addition to its body.
ENTRY_BYTES = 1_000
TAG_BYTES = 500
# The first byte of a serialized entry: one of another format counts as absent.
FORMAT = b"2"
AUDIENCES = {b"public": False, b"private": True}


@dataclass(slots=True, eq=False)
class Entry:
    """is_private: the answer is for one user. created_at is of time.monotonic(); lifetime is in seconds.

    etag stands in quotes, as HTTP requires.
    """

    key: str
    body: bytes
    etag: bytes
    tags: frozenset[Tag]
    snapshot: Snapshot
    tier: Tier
    is_private: bool
    created_at: float
    lifetime: float
    # Of time.monotonic() as well.
    expires_at: float = field(init=False)
    refresh_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.expires_at = self.created_at + self.lifetime
        self.refresh_at = self.expires_at - REFRESH_SHARE * self.lifetime

    @classmethod
    def create(
        cls,
        key: str,
        body: bytes,
        tags: frozenset[Tag],
        snapshot: Snapshot,
        tier: Tier,
        lifetime: float,
        *,
        is_private: bool,
    ) -> "Entry":
        """An entry that was computed just now."""
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return cls(key, body, f'"{digest}"'.encode(), tags, snapshot, tier, is_private, time.monotonic(), lifetime)

    @property
    def age(self) -> float:
        return time.monotonic() - self.created_at

    @property
    def needs_refresh(self) -> bool:
        """Whether the next request for it should have it computed again."""
        return time.monotonic() > self.refresh_at

    @property
    def size(self) -> int:
        return len(self.body) + ENTRY_BYTES + TAG_BYTES * len(self.tags)

    def serialize(self) -> bytes:
        """For storage where other processes read it. Their clocks are assumed to agree."""
        running = ",".join(map(str, self.snapshot.running))
        snapshot = f"{self.snapshot.end}:{self.snapshot.end}:{running}"
        created_at = time.time() - self.age
        audience = "private" if self.is_private else "public"
        head = f"{created_at:.3f} {self.lifetime:.3f} {self.tier.name} {audience} {snapshot} ".encode()
        return b"".join([FORMAT, b" ", head, self.etag, b"\n", self.body])

    @classmethod
    def deserialize(cls, key: str, tags: frozenset[Tag], stored: bytes) -> "Entry | None":
        """From serialize(); None if it cannot be read, or has expired."""
        head, _, body = stored.partition(b"\n")
        try:
            format_, created_at, lifetime, tier, audience, snapshot, etag = head.split(b" ")
            age = max(0.0, time.time() - float(created_at))
            entry = cls(
                key,
                body,
                etag,
                tags,
                Snapshot.parse(snapshot.decode()),
                Tier[tier.decode()],
                AUDIENCES[audience],
                time.monotonic() - age,
                float(lifetime),
            )
        except (ValueError, KeyError):
            return None
        return entry if format_ == FORMAT and entry.expires_at > time.monotonic() else None
