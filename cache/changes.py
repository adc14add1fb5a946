"""The log of database changes, by which a cached answer is current or stale.

An answer carries the snapshot that its statement saw, and tags: the tables and rows it depends on. A change carries the
number of its transaction. So every process that receives the changes can check any answer against them, wherever the
answer was stored and however late it got there. docs/decisions/0009 explains it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import NamedTuple

# Transactions whose changes are logged one by one.
MAX_LOGGED = 100_000
# How far the number of a transaction may be beyond the last baseline.
MAX_AHEAD = 2**32
# How long cached answers are trusted after the last heartbeat of the change feed.
TRUST_SECONDS = 2.5


class Snapshot(NamedTuple):
    """The transactions that a statement saw: those below end, except those that were still running."""

    end: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "Snapshot":
        """From the text of a pg_snapshot: xmin:xmax:xip,xip. Raises ValueError."""
        _, end, running = text.split(":")
        return cls(int(end), frozenset(map(int, running.split(","))) if running else frozenset())

    def sees(self, transaction: int) -> bool:
        return transaction < self.end and transaction not in self.running

    def covers(self, other: "Snapshot") -> bool:
        """Whether it sees every transaction that the other sees."""
        return self.end >= other.end and all(
            transaction >= other.end or transaction in other.running for transaction in self.running
        )


class Tag(NamedTuple):
    """A dependency of an answer: a table, or the rows in it that belong to one member, such as a coin."""

    table: str
    member: str | None = None


class Change(NamedTuple):
    """The rows that a transaction changed. table None: any table. members None: rows of any member."""

    transaction: int
    table: str | None
    members: frozenset[str] | None

    def affects(self, tag: Tag) -> bool:
        if self.table is None:
            return True
        return tag.table == self.table and (tag.member is None or self.members is None or tag.member in self.members)


class Changes:
    """The changes that this process has received, and whether it still receives all of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._trusted_until = 0.0
        # How long the last heartbeat took.
        self.lag_seconds = 0.0
        self._baseline: Snapshot | None = None
        # The greatest transaction that changed a tag; under a table's name, rows of any member; under None, any table.
        self._latest: dict[Tag | str | None, int] = {}
        self._log: OrderedDict[int, list[Change]] = OrderedDict()
        # The greatest transaction that the log has dropped.
        self._dropped = 0

    @property
    def is_listening(self) -> bool:
        """Whether every change arrives within moments. If not, no cached answer may be served."""
        return self._clock() < self._trusted_until

    def resync(self, baseline: Snapshot) -> None:
        """From now on all changes are received; those that this snapshot sees may have been missed."""
        self._baseline = baseline
        # An answer whose snapshot covers the baseline has seen these.
        self._latest = {key: latest for key, latest in self._latest.items() if not baseline.sees(latest)}
        self.confirm(self._clock())

    def confirm(self, since: float) -> None:
        """Every change that was committed before this time has been received."""
        self._trusted_until = since + TRUST_SECONDS
        self.lag_seconds = self._clock() - since

    def stop(self) -> None:
        self._trusted_until = 0.0

    def record(self, change: Change) -> None:
        """Raises ValueError if the number cannot be a transaction's: it would count as later than all that follow."""
        if self._baseline is not None and change.transaction > self._baseline.end + MAX_AHEAD:
            raise ValueError(change.transaction)
        self._append(change)
        if change.table is None:
            self._record_latest(None, change.transaction)
            return
        self._record_latest(Tag(change.table), change.transaction)
        if change.members is None:
            self._record_latest(change.table, change.transaction)
        for member in change.members or ():
            self._record_latest(Tag(change.table, member), change.transaction)

    def are_seen_by(self, snapshot: Snapshot, tags: Collection[Tag]) -> bool:
        """Whether a snapshot has seen every change of these tags, including any that this process may have missed."""
        if self._baseline is None or not self.is_listening or not snapshot.covers(self._baseline):
            return False
        return all(self._latest_of(tag) < snapshot.end for tag in tags) and not any(
            self._has_changed(transaction, tags) for transaction in snapshot.running
        )

    def _latest_of(self, tag: Tag) -> int:
        latest = self._latest
        return max(latest.get(tag, 0), latest.get(tag.table, 0), latest.get(None, 0))

    def _has_changed(self, transaction: int, tags: Collection[Tag]) -> bool:
        """Whether a transaction that was running has changed one of these tags, as far as the log goes back."""
        changes = self._log.get(transaction)
        if changes is None:
            return transaction <= self._dropped
        return any(change.affects(tag) for change in changes for tag in tags)

    def _record_latest(self, key: Tag | str | None, transaction: int) -> None:
        self._latest[key] = max(transaction, self._latest.get(key, 0))

    def _append(self, change: Change) -> None:
        self._log.setdefault(change.transaction, []).append(change)
        if len(self._log) > MAX_LOGGED:
            dropped, _ = self._log.popitem(last=False)
            self._dropped = max(self._dropped, dropped)
