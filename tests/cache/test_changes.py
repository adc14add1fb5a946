"""Which changes a snapshot has seen."""

from hypothesis import given
from hypothesis import strategies as st

from cache import changes
from cache.changes import Change, Changes, Snapshot, Tag

CANDLES, OF_BTC, OF_ETH = Tag("market_data"), Tag("market_data", "BTC"), Tag("market_data", "ETH")
NOTHING = Snapshot(1, frozenset())


def snapshot(text: str) -> Snapshot:
    return Snapshot.parse(text)


def listening(*received: Change, baseline: Snapshot = NOTHING) -> Changes:
    log = Changes()
    log.resync(baseline)
    for change in received:
        log.record(change)
    return log


def change(transaction: int, *members: str, table: str | None = "market_data") -> Change:
    return Change(transaction, table, frozenset(members))


def test_a_snapshot_sees_what_ended_before_it() -> None:
    seen = snapshot("5:9:5,7")
    assert [number for number in range(1, 11) if seen.sees(number)] == [1, 2, 3, 4, 6, 8]
    assert snapshot("9:9:").sees(8)


snapshots = st.builds(
    lambda end, running: Snapshot(end, frozenset(number for number in running if number < end)),
    st.integers(1, 12),
    st.sets(st.integers(1, 12)),
)


@given(snapshots, snapshots)
def test_a_snapshot_covers_another_if_it_sees_all_that_it_sees(one: Snapshot, other: Snapshot) -> None:
    """A snapshot that ends earlier may see as much, and still does not count as covering the other."""
    sees_all = all(one.sees(number) for number in range(1, 13) if other.sees(number))
    assert not one.covers(other) or sees_all
    assert one.covers(other) or not sees_all or one.end < other.end


def test_an_answer_is_stale_if_it_has_not_seen_a_change_of_its_tags() -> None:
    log = listening(change(7, "BTC"))
    assert log.are_seen_by(snapshot("8:8:"), [CANDLES, OF_BTC])
    assert not log.are_seen_by(snapshot("7:7:"), [CANDLES])
    assert not log.are_seen_by(snapshot("7:7:"), [OF_BTC])
    assert log.are_seen_by(snapshot("7:7:"), [OF_ETH])
    assert log.are_seen_by(snapshot("7:7:"), [Tag("models")])


def test_transactions_may_end_in_another_order_than_they_begin() -> None:
    log = listening(change(9, "BTC"))
    early = snapshot("7:10:7")
    assert log.are_seen_by(early, [OF_BTC])
    log.record(change(7, "BTC"))
    assert not log.are_seen_by(early, [OF_BTC])
    assert log.are_seen_by(snapshot("10:10:"), [OF_BTC])
    # A transaction whose changes have not arrived, running or not, does not count.
    assert log.are_seen_by(snapshot("8:12:8"), [OF_BTC])


def test_a_change_of_any_member_affects_each() -> None:
    log = listening(Change(7, "market_data", None))
    assert not log.are_seen_by(snapshot("7:7:"), [OF_ETH])
    assert log.are_seen_by(snapshot("7:7:"), [Tag("signals")])
    log.record(Change(8, None, None))
    assert not log.are_seen_by(snapshot("8:8:"), [Tag("signals")])


def test_a_snapshot_must_cover_the_baseline() -> None:
    log = listening(baseline=snapshot("5:9:5"))
    assert not log.are_seen_by(snapshot("5:8:5"), [OF_BTC])
    assert log.are_seen_by(snapshot("5:9:5"), [OF_BTC])
    assert log.are_seen_by(snapshot("5:11:5,9"), [OF_BTC])
    assert not log.are_seen_by(snapshot("6:11:6"), [OF_BTC])


def test_nothing_is_current_unless_the_feed_is_listening() -> None:
    now = 100.0
    log = Changes(lambda: now)
    assert not log.are_seen_by(snapshot("9:9:"), [])
    log.resync(NOTHING)
    assert log.are_seen_by(snapshot("9:9:"), [])
    now += changes.TRUST_SECONDS + 0.1
    assert not log.are_seen_by(snapshot("9:9:"), [])
    log.confirm(now - 1)
    assert log.are_seen_by(snapshot("9:9:"), [])
    log.stop()
    assert not log.are_seen_by(snapshot("9:9:"), [])


def test_a_transaction_that_the_log_has_dropped_counts_as_a_change() -> None:
    log = listening()
    late = snapshot("5:200000:5,150000")
    assert log.are_seen_by(late, [OF_BTC])
    log.record(change(5, "BTC"))
    for number in range(6, 6 + changes.MAX_LOGGED):
        log.record(change(number, "ETH"))
    assert not log.are_seen_by(late, [OF_BTC])
    assert len(log._log) == changes.MAX_LOGGED
