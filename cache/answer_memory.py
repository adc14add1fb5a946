"""The tier in this process: answers by key, and by the tags they depend on. It drops what a change makes stale."""

import time
from collections.abc import Callable, Hashable
from fnmatch import fnmatchcase

from cache.change_feed import FeedSubscriber
from cache.changes import Change, Snapshot, Tag
from cache.entries import Entry
from cache.memory import MemoryCache
from cache.tiers import Tier

MAX_ENTRIES = 10_000


class AnswerMemory(MemoryCache[Entry], FeedSubscriber):
    # An answer pays off from its second request on, if there is room.
    min_uses = 1

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_entries=MAX_ENTRIES, max_bytes=max_bytes)
        self._by_tag: dict[Tag, set[Entry]] = {}
        self.entries_by_tier = dict.fromkeys(Tier, 0)

    def find(self, key: str) -> Entry | None:
        """The answer under this key, unless it has expired."""
        entry = self.get(key)
        if entry is not None and self._is_expired(entry):
            self._drop(key)
            return None
        return entry

    def store(self, entry: Entry) -> None:
        if self.put(entry.key, entry, entry.size):
            self.entries_by_tier[entry.tier] += 1
            for tag in entry.tags:
                self._by_tag.setdefault(tag, set()).add(entry)

    def on_new_home(self) -> None:
        self.clear()

    def on_resync(self, baseline: Snapshot) -> None:
        self._drop_if(self._values(), lambda entry: not entry.snapshot.covers(baseline))

    def on_change(self, change: Change) -> None:
        affected: set[Entry] = set()
        for tag in self._affected_tags(change):
            affected |= self._by_tag.get(tag, set())
        self._drop_if(affected, lambda entry: not entry.snapshot.sees(change.transaction))

    def on_clear(self, pattern: str) -> None:
        self._drop_if(self._values(), lambda entry: fnmatchcase(entry.key, pattern))

    def _values(self) -> set[Entry]:
        return {entry for entry, _ in self._entries.values()}

    def _affected_tags(self, change: Change) -> list[Tag]:
        if change.table is None or change.members is None:
            return [tag for tag in self._by_tag if change.affects(tag)]
        return [Tag(change.table), *(Tag(change.table, member) for member in change.members)]

    def _drop_if(self, entries: set[Entry], condition: Callable[[Entry], bool]) -> None:
        for entry in entries:
            if condition(entry):
                self._drop(entry.key)

    def _drop(self, key: Hashable) -> Entry | None:
        entry = super()._drop(key)
        if entry is not None:
            self.entries_by_tier[entry.tier] -= 1
            for tag in entry.tags:
                self._by_tag[tag].discard(entry)
                if not self._by_tag[tag]:
                    del self._by_tag[tag]
        return entry

    def _is_expired(self, entry: Entry) -> bool:
        return entry.expires_at <= time.monotonic()
