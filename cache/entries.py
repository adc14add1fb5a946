"""A stored answer: its bytes, what it depends on and has seen, and how long it may be served."""

import hashlib
import time
from dataclasses import dataclass, field

from cache.changes import Snapshot, Tag
from cache.tiers import Tier

# In the last part of its life, the first to ask for an answer has it made anew, and waits for nothing.
REFRESHED_IN_LAST = 0.1
# What an entry takes beside its answer, roughly.
ENTRY_BYTES = 1_000
TAG_BYTES = 500
# The first byte of a stored entry: one of another kind is none.
FORMAT = b"1"


@dataclass(slots=True, eq=False)
class Entry:
    """made_at is of time.monotonic(); lifetime is in seconds. etag stands in quotes, as HTTP wants it."""

    key: str
    body: bytes
    etag: bytes
    tags: frozenset[Tag]
    snapshot: Snapshot
    tier: Tier
    made_at: float
    lifetime: float
    # When its time is over, and when it is to be made anew; also of time.monotonic().
    ends_at: float = field(init=False)
    fades_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends_at = self.made_at + self.lifetime
        self.fades_at = self.ends_at - REFRESHED_IN_LAST * self.lifetime

    @classmethod
    def made(
        cls, key: str, body: bytes, tags: frozenset[Tag], snapshot: Snapshot, tier: Tier, lifetime: float
    ) -> "Entry":
        """One that was computed just now."""
        digest = hashlib.blake2b(body, digest_size=12).hexdigest()
        return cls(key, body, f'"{digest}"'.encode(), tags, snapshot, tier, time.monotonic(), lifetime)

    @property
    def age(self) -> float:
        return time.monotonic() - self.made_at

    @property
    def size(self) -> int:
        return len(self.body) + ENTRY_BYTES + TAG_BYTES * len(self.tags)

    def written(self) -> bytes:
        """As it is stored where other processes read it. Their clocks are taken to agree."""
        running = ",".join(map(str, self.snapshot.running))
        snapshot = f"{self.snapshot.end}:{self.snapshot.end}:{running}"
        made_at = time.time() - self.age
        head = f"{made_at:.3f} {self.lifetime:.3f} {self.tier.name} {snapshot} ".encode()
        return b"".join([FORMAT, b" ", head, self.etag, b"\n", self.body])

    @classmethod
    def read(cls, key: str, tags: frozenset[Tag], written: bytes) -> "Entry | None":
        """From what was stored; None where it cannot be read, or its time is over."""
        head, _, body = written.partition(b"\n")
        try:
            kind, made_at, lifetime, tier, snapshot, etag = head.split(b" ")
            age = max(0.0, time.time() - float(made_at))
            entry = cls(
                key,
                body,
                etag,
                tags,
                Snapshot.read(snapshot.decode()),
                Tier[tier.decode()],
                time.monotonic() - age,
                float(lifetime),
            )
        except (ValueError, KeyError):
            return None
        return entry if kind == FORMAT and entry.ends_at > time.monotonic() else None
