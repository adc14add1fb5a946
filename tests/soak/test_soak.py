"""A short soak: whatever happens to Redis, no answer is stale, and none is an error."""

from pathlib import Path

from sqlalchemy import URL

from tests.soak.run import Wanted, soak
from tests.soak.versions import Known, versions


def test_no_answer_is_stale(postgres: URL, database_url: URL, tmp_path: Path) -> None:
    findings = soak(database_url, tmp_path, Wanted(seconds=5, readers=8, pace=4))
    assert findings.failures() == []
    assert findings.hit_rate > 0.5


def test_versions_are_read_at_any_depth() -> None:
    trade = {"signal": {"id": "s", "confidence": 3e-6, "trades": {"totalCount": 2}}}
    coin = {"id": "c", "name": "BTC 4", "latest": {"volume": 5.0}, "signals": {"nodes": [{"id": "t"}]}}
    assert dict(versions({"trades": {"nodes": [trade]}, "coin": coin})) == {
        ("s", "confidence"): 3,
        ("s", "trades"): 2,
        ("c", "name"): 4,
        ("c", "newest"): 5,
    }


def test_an_answer_is_behind_from_the_next_version_on() -> None:
    known = Known()
    for version, at in ((1, 10.0), (2, 11.0), (2, 12.0), (4, 13.0)):
        known.note(("c", "name"), version, at)
    assert [known.behind(("c", "name"), version, 13.5) for version in (1, 2, 3, 4, 5)] == [2.5, 0.5, 0.5, 0, 0]
    assert known.behind(("c", "name"), 1, 10.5) == 0
    assert [known.newest(("c", "name"), at) for at in (9, 10, 11.5, 13)] == [0, 1, 2, 4]
    assert known.behind(("other", "name"), 1, 13.5) == 0
