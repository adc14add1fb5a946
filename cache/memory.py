"""A cache in this process, bounded in entries and bytes, that a flood of new keys cannot empty.

Where it is full, a new entry must have been asked for more often than the one that it would push out, which is the
least recently used; and nothing gets in at its first sighting. How often is counted for a while, then halved: what was
hot and is no more makes room. That is TinyLFU (Einziger, Friedman, Manes 2017), with exact counts.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")

# Counts, of all keys together, after which they are halved; and where a single count ends.
COUNTED_PER_ENTRY = 10
MOST_COUNTED = 15
# No entry may take more than this share of the bytes.
LARGEST_SHARE = 8


@dataclass
class MemoryCacheStats:
    entries: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    evictions: int = 0


class MemoryCache(Generic[Value]):
    # Sightings of a key before its value is kept.
    min_uses = 2

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        # By hash: two keys that share one are counted together, which does no harm.
        self._uses: dict[int, int] = {}
        self._counted = 0
        self.stats = MemoryCacheStats()

    def get(self, key: Hashable) -> Value | None:
        """The value, if it is there. Each call is a sighting of the key."""
        self._count(hash(key))
        entry = self._entries.get(key)
        if entry is None:
            self.stats.misses += 1
            return None
        self._entries.move_to_end(key)
        self.stats.hits += 1
        return entry[0]

    def record_use(self, key: Hashable) -> None:
        """Count a sighting of a key that is only known now."""
        self._count(hash(key))

    def put(self, key: Hashable, value: Value, size: int) -> bool:
        """Keep the value, of about this many bytes, if the key has earned it; return whether."""
        uses = self._uses.get(hash(key), 0)
        if uses < self.min_uses or size > self._max_bytes // LARGEST_SHARE:
            return False
        self._drop(key)
        if not self._make_room(size, uses):
            return False
        self._entries[key] = value, size
        self.stats.entries += 1
        self.stats.bytes += size
        return True

    def _make_room(self, size: int, uses: int) -> bool:
        """Push out what was seen less often; nothing, if that would not do."""
        entries, free = len(self._entries), self._max_bytes - self.stats.bytes
        leaving = []
        for key, (value, its_size) in self._entries.items():
            if entries < self._max_entries and size <= free:
                break
            if self._uses.get(hash(key), 0) >= uses and not self._is_spent(value):
                return False
            leaving.append(key)
            entries, free = entries - 1, free + its_size
        for key in leaving:
            self._drop(key)
        self.stats.evictions += len(leaving)
        return True

    def _is_spent(self, _value: Value) -> bool:
        """Whether a value is of no use any more, however often it was asked for."""
        return False

    def _drop(self, key: Hashable) -> Value | None:
        """Let go of a value; return it, if it was there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self.stats.entries -= 1
        self.stats.bytes -= entry[1]
        return entry[0]

    def _count(self, hashed: int) -> None:
        count = self._uses.get(hashed, 0)
        if count < MOST_COUNTED:
            self._uses[hashed] = count + 1
        self._counted += 1
        if self._counted >= COUNTED_PER_ENTRY * self._max_entries:
            self._uses = {hashed: count // 2 for hashed, count in self._uses.items() if count > 1}
            self._counted //= 2
