"""The change feed: events reach all subscribers, and writers wait until their own changes have arrived."""

import asyncio
import time
from typing import Any

import pytest

from cache import change_feed
from cache.change_feed import ChangeFeed, FeedSubscriber
from cache.changes import Change, Snapshot
from tests.waiting import eventually

# A wait that should not happen takes less; one that should not end early takes the deadline of the test.
AT_ONCE_SECONDS = 0.5


class Recorder(FeedSubscriber):
    """Records the events it receives."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def on_new_home(self) -> None:
        self.events.append("new home")

    def on_resync(self, baseline: Snapshot) -> None:
        self.events.append(baseline)

    def on_change(self, change: Change) -> None:
        self.events.append(change)

    def on_disconnect(self) -> None:
        self.events.append("disconnect")

    def on_clear(self, pattern: str) -> None:
        self.events.append(pattern)


@pytest.fixture
def feed() -> ChangeFeed:
    """A feed that is listening."""
    feed = ChangeFeed()
    feed.on_resync("home", "10:10:")
    return feed


def test_every_subscriber_receives_every_event_in_order() -> None:
    feed, recorders = ChangeFeed(), [Recorder(), Recorder()]
    for recorder in (recorders[0], FeedSubscriber(), recorders[1]):
        feed.subscribe(recorder)
    feed.on_resync("home", "10:12:11")
    feed.on_change(11, "trades", ["BTC"])
    feed.on_change(12, None, None)
    feed.on_clear("*:BTC:*")
    feed.on_disconnect()
    expected = [
        Snapshot(12, frozenset([11])),
        Change(11, "trades", frozenset(["BTC"])),
        Change(12, None, None),
        "*:BTC:*",
        "disconnect",
    ]
    assert [recorder.events for recorder in recorders] == [expected, expected]


def test_only_a_second_home_is_a_new_one() -> None:
    """Caches may hold what was prepared before the first resync."""
    feed, recorder = ChangeFeed(), Recorder()
    feed.subscribe(recorder)
    for home in ("one", "one", "other"):
        feed.on_resync(home, "10:10:")
    baseline = Snapshot(10, frozenset())
    assert recorder.events == [baseline, baseline, "new home", baseline]


def test_a_transaction_number_that_is_impossible_is_rejected(feed: ChangeFeed) -> None:
    recorder = Recorder()
    feed.subscribe(recorder)
    with pytest.raises(ValueError, match="1000000000000000000"):
        feed.on_change(10**18, None, None)
    assert recorder.events == []
    assert feed.changes.are_seen_by(Snapshot.parse("10:10:"), [])


def test_changes_are_counted_by_table(feed: ChangeFeed) -> None:
    for transaction, table in enumerate(["trades", "trades", None], 10):
        feed.on_change(transaction, table, None)
    assert feed.counts == {"trades": 2, None: 1}


def test_a_stamp_is_equal_until_one_of_its_tables_changes(feed: ChangeFeed) -> None:
    stamp = feed.stamp(["users"])
    feed.on_change(11, "trades", None)
    assert feed.stamp(["users"]) == stamp
    feed.on_change(12, "users", ["BTC"])
    assert feed.stamp(["users"]) != stamp
    stamp = feed.stamp(["users"])
    feed.on_change(13, None, None)
    assert feed.stamp(["users"]) != stamp


def test_a_stamp_from_before_a_disconnect_is_outdated(feed: ChangeFeed) -> None:
    stamp = feed.stamp(["users"])
    feed.on_disconnect()
    assert feed.stamp(["users"]) is None
    feed.on_resync("home", "10:10:")
    assert feed.stamp(["users"]) not in (None, stamp)


async def test_a_writer_waits_until_its_transaction_has_arrived(feed: ChangeFeed) -> None:
    waiting = asyncio.create_task(feed.wait_until_seen(11))
    await eventually(lambda: 11 in feed._waiting)
    feed.on_change(11, "trades", None)
    feed.on_transaction_end(12)
    assert not waiting.done()
    feed.on_transaction_end(11)
    await waiting
    assert feed._waiting == {}


async def test_a_disconnect_ends_the_wait(feed: ChangeFeed) -> None:
    waiting = asyncio.create_task(feed.wait_until_seen(11))
    await eventually(lambda: 11 in feed._waiting)
    started = time.perf_counter()
    feed.on_disconnect()
    await waiting
    await feed.wait_until_seen(12)
    assert time.perf_counter() - started < AT_ONCE_SECONDS
    assert feed._waiting == {}


async def test_a_transaction_that_has_arrived_before_is_not_waited_for(feed: ChangeFeed) -> None:
    feed.on_transaction_end(11)
    started = time.perf_counter()
    await feed.wait_until_seen(11)
    assert time.perf_counter() - started < AT_ONCE_SECONDS


async def test_a_cancelled_wait_leaves_nothing_behind(feed: ChangeFeed) -> None:
    waiting = asyncio.create_task(feed.wait_until_seen(11))
    await eventually(lambda: 11 in feed._waiting)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert feed._waiting == {}


async def test_a_transaction_that_does_not_arrive_in_time_counts_as_a_change_of_anything(
    feed: ChangeFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_feed, "SEEN_WITHIN_SECONDS", 0.05)
    before = feed.stamp(["trades"])
    await feed.wait_until_seen(11)
    assert feed.stamp(["trades"]) != before
