"""The feed of database changes: logs them, and passes each event on to the caches that depend on the data.

db/changes.py calls it with what its LISTEN connection receives. It runs with the answer cache switched off as well:
cached identities depend on it, too.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Hashable

from cache.changes import Change, Changes, Snapshot

# How long a writer waits for its own changes to arrive, and how many ended transactions are remembered for it.
SEEN_WITHIN_SECONDS = 1.0
MAX_ENDED = 1_000


class FeedSubscriber:
    """Base class of subscribers: each overrides the events it needs. None of them may wait, or raise."""

    def on_new_home(self) -> None:
        """The database is another one, or has restarted: everything derived from the earlier one is void."""

    def on_resync(self, baseline: Snapshot) -> None:
        """All changes are received from now on; those that the baseline sees may have been missed."""

    def on_change(self, change: Change) -> None:
        """A transaction changed rows."""

    def on_disconnect(self) -> None:
        """Changes are not received until the next resync."""

    def on_clear(self, pattern: str) -> None:
        """An operator clears the cached answers whose keys match."""


class ChangeFeed:
    """Implements ChangeSubscriber of db/changes.py, for any number of subscribers."""

    def __init__(self) -> None:
        # Each home has an object of its own, so code that compares two of them finds whether the home has changed.
        self.changes = Changes()
        # Names the database and the run of its server; empty before the first resync.
        self.home = ""
        # Changes received, by table; under None, those of any table.
        self.counts = Counter[str | None]()
        self._subscribers: list[FeedSubscriber] = []
        self._resyncs = 0
        # The transactions that ended last, and those that a writer waits for.
        self._ended = deque[int](maxlen=MAX_ENDED)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @property
    def is_listening(self) -> bool:
        """Whether every change arrives within moments. If not, nothing cached may be served."""
        return self.changes.is_listening

    def subscribe(self, subscriber: FeedSubscriber) -> None:
        self._subscribers.append(subscriber)

    def stamp(self, tables: Collection[str]) -> Hashable | None:
        """Equal to an earlier stamp if nothing in these tables has changed since; None while changes may be missed."""
        if not self.changes.is_listening:
            return None
        return self._resyncs, self.counts[None], *(self.counts[table] for table in tables)

    async def wait_until_seen(self, transaction: int) -> None:
        """Wait until all changes of a committed transaction have arrived; return immediately if none can arrive."""
        if not self.changes.is_listening or transaction in self._ended:
            return
        waiting = self._waiting.setdefault(transaction, asyncio.get_running_loop().create_future())
        try:
            await asyncio.wait({waiting}, timeout=SEEN_WITHIN_SECONDS)
        finally:
            self._waiting.pop(transaction, None)
        if not waiting.done() and self.changes.is_listening:
            # Its changes are unknown, so nothing older is served from here on.
            self.on_change(transaction, None, None)

    def on_resync(self, home: str, snapshot: str) -> None:
        baseline = Snapshot.parse(snapshot)
        if home != self.home:
            had_home = self.home != ""
            self.home, self.changes = home, Changes()
            if had_home:
                for subscriber in self._subscribers:
                    subscriber.on_new_home()
        self._resyncs += 1
        self.changes.resync(baseline)
        for subscriber in self._subscribers:
            subscriber.on_resync(baseline)

    def on_change(self, transaction: int, table: str | None, members: Collection[str] | None) -> None:
        change = Change(transaction, table, None if members is None else frozenset(members))
        self.changes.record(change)
        self.counts[table] += 1
        for subscriber in self._subscribers:
            subscriber.on_change(change)

    def on_transaction_end(self, transaction: int) -> None:
        self._ended.append(transaction)
        if (waiting := self._waiting.get(transaction)) is not None and not waiting.done():
            waiting.set_result(None)

    def on_heartbeat(self, since: float) -> None:
        self.changes.confirm(since)

    def on_disconnect(self) -> None:
        self.changes.stop()
        for subscriber in self._subscribers:
            subscriber.on_disconnect()
        # Nothing cached is served before the next resync, whose snapshot sees what these writers wait for.
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    def on_clear(self, pattern: str) -> None:
        for subscriber in self._subscribers:
            subscriber.on_clear(pattern)
