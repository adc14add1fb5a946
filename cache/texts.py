"""Texts by key, such as documents by their hash: they never change, so they need no invalidation."""

from cache.memory import MemoryCache
from cache.redis import PREFIX, SharedCache

TTL_SECONDS = 24 * 3_600
MAX_TEXTS = 10_000
MAX_BYTES = 16 * 2**20


class _TextMemory(MemoryCache[bytes]):
    # Stored at its first use: a client that registers a text sends only its hash from then on.
    min_uses = 1


class Texts:
    """In this process's memory, and in Redis for other processes."""

    def __init__(self, shared: SharedCache | None) -> None:
        self._memory = _TextMemory(max_entries=MAX_TEXTS, max_bytes=MAX_BYTES)
        self._shared = shared

    async def get(self, key: str) -> bytes | None:
        text = self._memory.get(key)
        if text is None and self._shared is not None:
            text = await self._shared.get(f"{PREFIX}:{key}")
            if text is not None:
                self._memory.put(key, text, len(text))
        return text

    def put(self, key: str, text: bytes) -> None:
        self._memory.record_use(key)
        self._memory.put(key, text, len(text))
        if self._shared is not None:
            self._shared.put(f"{PREFIX}:{key}", text, TTL_SECONDS)
