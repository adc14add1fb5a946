"""What an answer has seen: snapshots, and the changes that are known."""

from hypothesis import given
from hypothesis import strategies as st

from cache import changes
from cache.changes import Change, Changes, Snapshot, Tag

CANDLES, OF_BTC, OF_ETH = Tag("market_data"), Tag("market_data", "BTC"), Tag("market_data", "ETH")
NOTHING = Snapshot(1, frozenset())


def snapshot(text: str) -> Snapshot:
    return Snapshot.parse(text)


def listening(*heard: Change, baseline: Snapshot = NOTHING) -> Changes:
    found = Changes()
    found.resync(baseline)
    for change in heard:
        found.record(change)
    return found


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
    """That which ends later may see no more of it, and is then not taken to."""
    sees_all = all(one.sees(number) for number in range(1, 13) if other.sees(number))
    assert not one.covers(other) or sees_all
    assert one.covers(other) or not sees_all or one.end < other.end


def test_an_answer_must_have_seen_the_changes_of_its_tags() -> None:
    known = listening(change(7, "BTC"))
    assert known.are_seen_by(snapshot("8:8:"), [CANDLES, OF_BTC])
    assert not known.are_seen_by(snapshot("7:7:"), [CANDLES])
    assert not known.are_seen_by(snapshot("7:7:"), [OF_BTC])
    assert known.are_seen_by(snapshot("7:7:"), [OF_ETH])
    assert known.are_seen_by(snapshot("7:7:"), [Tag("models")])


def test_transactions_end_in_another_order_than_they_begin() -> None:
    known = listening(change(9, "BTC"))
    early = snapshot("7:10:7")
    assert known.are_seen_by(early, [OF_BTC])
    known.record(change(7, "BTC"))
    assert not known.are_seen_by(early, [OF_BTC])
    assert known.are_seen_by(snapshot("10:10:"), [OF_BTC])
    # One that is still running, or has not been heard of, changes nothing.
    assert known.are_seen_by(snapshot("8:12:8"), [OF_BTC])


def test_a_change_of_any_member_touches_each() -> None:
    known = listening(Change(7, "market_data", None))
    assert not known.are_seen_by(snapshot("7:7:"), [OF_ETH])
    assert known.are_seen_by(snapshot("7:7:"), [Tag("signals")])
    known.record(Change(8, None, None))
    assert not known.are_seen_by(snapshot("8:8:"), [Tag("signals")])


def test_what_was_never_heard_may_be_missing() -> None:
    known = listening(baseline=snapshot("5:9:5"))
    assert not known.are_seen_by(snapshot("5:8:5"), [OF_BTC])
    assert known.are_seen_by(snapshot("5:9:5"), [OF_BTC])
    assert known.are_seen_by(snapshot("5:11:5,9"), [OF_BTC])
    assert not known.are_seen_by(snapshot("6:11:6"), [OF_BTC])


def test_nothing_is_known_unless_changes_are_heard() -> None:
    now = 100.0
    known = Changes(lambda: now)
    assert not known.are_seen_by(snapshot("9:9:"), [])
    known.resync(NOTHING)
    assert known.are_seen_by(snapshot("9:9:"), [])
    now += changes.TRUST_SECONDS + 0.1
    assert not known.are_seen_by(snapshot("9:9:"), [])
    known.confirm(now - 1)
    assert known.are_seen_by(snapshot("9:9:"), [])
    known.stop()
    assert not known.are_seen_by(snapshot("9:9:"), [])


def test_what_is_forgotten_is_not_taken_for_unchanged(monkeypatch: object) -> None:
    known = listening()
    late = snapshot("5:200000:5,150000")
    assert known.are_seen_by(late, [OF_BTC])
    known.record(change(5, "BTC"))
    for number in range(6, 6 + changes.MAX_LOGGED):
        known.record(change(number, "ETH"))
    assert not known.are_seen_by(late, [OF_BTC])
    assert len(known._log) == changes.MAX_LOGGED
