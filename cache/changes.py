"""Which answers may still be served: what has changed, and what an answer has seen of it.

An answer carries the snapshot that its statement saw, and tags: what it depends on. A change carries the number of its
transaction. So whoever holds an answer, and was told of the changes, can tell whether it has seen them all, wherever it
was stored meanwhile and however late it got there. docs/decisions/0009 explains it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import NamedTuple

# Transactions whose changes are remembered one by one.
MAX_REMEMBERED = 100_000
# How far transactions can be beyond those of the last baseline.
MOST_AHEAD = 2**32
# How long answers are trusted after the last sign that changes are still being heard.
TRUST_SECONDS = 2.5


class Snapshot(NamedTuple):
    """What a statement saw: the transactions below end, but for those that were still running."""

    end: int
    running: frozenset[int]

    @classmethod
    def read(cls, text: str) -> "Snapshot":
        """From what PostgreSQL writes for a snapshot: xmin:xmax:xip,xip. Raises ValueError."""
        _, end, running = text.split(":")
        return cls(int(end), frozenset(map(int, running.split(","))) if running else frozenset())

    def sees(self, transaction: int) -> bool:
        return transaction < self.end and transaction not in self.running

    def covers(self, other: "Snapshot") -> bool:
        """Whether it sees all that the other sees."""
        return self.end >= other.end and all(
            transaction >= other.end or transaction in other.running for transaction in self.running
        )


class Tag(NamedTuple):
    """What an answer depends on: a table, or the rows in it of one member, such as a coin."""

    table: str
    member: str | None = None


class Change(NamedTuple):
    """What a transaction changed. table None: anything. members None: rows of any member."""

    transaction: int
    table: str | None
    members: frozenset[str] | None

    def touches(self, tag: Tag) -> bool:
        if self.table is None:
            return True
        return tag.table == self.table and (tag.member is None or self.members is None or tag.member in self.members)


class Changes:
    """The changes that this process was told of, and whether it can still be told of all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._trusted_until = 0.0
        # How long the last sign of hearing was under way.
        self.lag_seconds = 0.0
        self._baseline: Snapshot | None = None
        # The greatest transaction that changed a tag; under a table's name, rows of any member; under None, anything.
        self._latest: dict[Tag | str | None, int] = {}
        self._remembered: OrderedDict[int, list[Change]] = OrderedDict()
        self._forgotten = 0

    @property
    def is_listening(self) -> bool:
        """Whether every change is heard within moments. Where not, no stored answer may be served."""
        return self._clock() < self._trusted_until

    def begin(self, baseline: Snapshot) -> None:
        """From now on changes are heard; those that this snapshot sees may have been missed."""
        self._baseline = baseline
        # Who has seen all that the baseline sees has seen these.
        self._latest = {key: latest for key, latest in self._latest.items() if not baseline.sees(latest)}
        self.confirm(self._clock())

    def confirm(self, since: float) -> None:
        """All that was committed before this time has been heard."""
        self._trusted_until = since + TRUST_SECONDS
        self.lag_seconds = self._clock() - since

    def stop(self) -> None:
        self._trusted_until = 0.0

    def note(self, change: Change) -> None:
        """Raises ValueError where this can be no transaction: it would count as later than all that follow."""
        if self._baseline is not None and change.transaction > self._baseline.end + MOST_AHEAD:
            raise ValueError(change.transaction)
        self._remember(change)
        if change.table is None:
            self._note(None, change.transaction)
            return
        self._note(Tag(change.table), change.transaction)
        if change.members is None:
            self._note(change.table, change.transaction)
        for member in change.members or ():
            self._note(Tag(change.table, member), change.transaction)

    def has_seen(self, snapshot: Snapshot, tags: Collection[Tag]) -> bool:
        """Whether an answer with these tags has seen every change that is known, and none can be unknown."""
        if self._baseline is None or not self.is_listening or not snapshot.covers(self._baseline):
            return False
        return all(self._latest_of(tag) < snapshot.end for tag in tags) and not any(
            self._was_heard(transaction, tags) for transaction in snapshot.running
        )

    def _latest_of(self, tag: Tag) -> int:
        latest = self._latest
        return max(latest.get(tag, 0), latest.get(tag.table, 0), latest.get(None, 0))

    def _was_heard(self, transaction: int, tags: Collection[Tag]) -> bool:
        """Whether a transaction that was running is known to have changed one of these since."""
        changes = self._remembered.get(transaction)
        if changes is None:
            return transaction <= self._forgotten
        return any(change.touches(tag) for change in changes for tag in tags)

    def _note(self, key: Tag | str | None, transaction: int) -> None:
        self._latest[key] = max(transaction, self._latest.get(key, 0))

    def _remember(self, change: Change) -> None:
        self._remembered.setdefault(change.transaction, []).append(change)
        if len(self._remembered) > MAX_REMEMBERED:
            forgotten, _ = self._remembered.popitem(last=False)
            self._forgotten = max(self._forgotten, forgotten)
