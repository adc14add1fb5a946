"""A cache in this process, bounded in entries and bytes, that a flood of new keys cannot empty.

When it is full, a new entry must have been requested more often than the least recently used one that it would evict;
and nothing is admitted at its first request. Requests are counted per key, and all counts are halved from time to time,
so that keys that are no longer hot make room. That is TinyLFU (Einziger, Friedman, Manes 2017), with exact counts.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")

# Requests per entry after which all counts are halved; and the limit of a single count.
COUNTED_PER_ENTRY = 10
MAX_COUNT = 15
# No entry may take more than this fraction of the bytes.
LARGEST_SHARE = 8


@dataclass
class MemoryCacheStats:
    entries: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    evictions: int = 0


class MemoryCache(Generic[Value]):
    # Uses of a key before its value is admitted.
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
        """The value, if it is there. Each call counts as a use of the key."""
        self._count(hash(key))
        entry = self._entries.get(key)
        if entry is None:
            self.stats.misses += 1
            return None
        self._entries.move_to_end(key)
        self.stats.hits += 1
        return entry[0]

    def record_use(self, key: Hashable) -> None:
        """Count a use of a key that get() could not be called with yet."""
        self._count(hash(key))

    def put(self, key: Hashable, value: Value, size: int) -> bool:
        """Store the value, of about this many bytes, if the key is used often enough; return whether it was stored."""
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

    def clear(self) -> None:
        """Drop all values. The counts of uses stay."""
        for key in list(self._entries):
            self._drop(key)

    def _make_room(self, size: int, uses: int) -> bool:
        """Evict entries that were used less often; none if that would not make enough room."""
        entries, free = len(self._entries), self._max_bytes - self.stats.bytes
        evicted = []
        for key, (value, its_size) in self._entries.items():
            if entries < self._max_entries and size <= free:
                break
            if self._uses.get(hash(key), 0) >= uses and not self._is_expired(value):
                return False
            evicted.append(key)
            entries, free = entries - 1, free + its_size
        for key in evicted:
            self._drop(key)
        self.stats.evictions += len(evicted)
        return True

    def _is_expired(self, _value: Value) -> bool:
        """Whether a value may be evicted however often it was used."""
        return False

    def _drop(self, key: Hashable) -> Value | None:
        """Remove a value; return it, if it was there."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self.stats.entries -= 1
        self.stats.bytes -= entry[1]
        return entry[0]

    def _count(self, hashed: int) -> None:
        count = self._uses.get(hashed, 0)
        if count < MAX_COUNT:
            self._uses[hashed] = count + 1
        self._counted += 1
        if self._counted >= COUNTED_PER_ENTRY * self._max_entries:
            self._uses = {hashed: count // 2 for hashed, count in self._uses.items() if count > 1}
            self._counted //= 2
