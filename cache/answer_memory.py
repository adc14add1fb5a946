"""The tier in this process: answers by key, found again by what they depend on."""

import time
from collections.abc import Callable, Hashable
from fnmatch import fnmatchcase

from cache.changes import Change, Tag
from cache.entries import Entry
from cache.memory import MemoryCache
from cache.tiers import Tier

MAX_ENTRIES = 10_000


class AnswerMemory(MemoryCache[Entry]):
    # An answer is of use from its second request on, where there is room.
    min_uses = 1

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_entries=MAX_ENTRIES, max_bytes=max_bytes)
        self._by_tag: dict[Tag, set[Entry]] = {}
        self.entries_by_tier = dict.fromkeys(Tier, 0)

    def find(self, key: str) -> Entry | None:
        """The answer under this key, if its time is not over."""
        entry = self.get(key)
        if entry is not None and self._is_spent(entry):
            self._drop(key)
            return None
        return entry

    def keep(self, entry: Entry) -> None:
        if self.put(entry.key, entry, entry.size):
            self.entries_by_tier[entry.tier] += 1
            for tag in entry.tags:
                self._by_tag.setdefault(tag, set()).add(entry)

    def drop_touched(self, change: Change) -> None:
        """Drop what a change touches, unless it has seen the change."""
        touched: set[Entry] = set()
        for tag in self._touched(change):
            touched |= self._by_tag.get(tag, set())
        self._drop_all(touched, lambda entry: not entry.snapshot.sees(change.transaction))

    def drop_matching(self, pattern: str) -> None:
        self._drop_all(self._values(), lambda entry: fnmatchcase(entry.key, pattern))

    def drop_unless(self, holds: Callable[[Entry], bool]) -> None:
        self._drop_all(self._values(), lambda entry: not holds(entry))

    def _values(self) -> set[Entry]:
        return {entry for entry, _ in self._entries.values()}

    def _touched(self, change: Change) -> list[Tag]:
        if change.table is None or change.members is None:
            return [tag for tag in self._by_tag if change.touches(tag)]
        return [Tag(change.table), *(Tag(change.table, member) for member in change.members)]

    def _drop_all(self, entries: set[Entry], condition: Callable[[Entry], bool]) -> None:
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

    def _is_spent(self, entry: Entry) -> bool:
        return entry.ends_at <= time.monotonic()
