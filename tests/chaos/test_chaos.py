"""A short run of scripts/chaos, and the check of its findings."""

from pathlib import Path

from sqlalchemy import URL

from tests.chaos.run import ChaosOptions, Findings, chaos


def test_each_trade_is_stored_exactly_once(database_url: URL, tmp_path: Path) -> None:
    options = ChaosOptions(trades=400, clients=16, between_kills=0.5, limit_seconds=60)
    findings = chaos(database_url, tmp_path, options)
    assert findings.failures(options) == []


def test_failures_are_found() -> None:
    findings = Findings(answers={0: "a", 1: "a"}, stored=3, distinct=2, stored_keys=2)
    assert findings.failures(ChaosOptions(trades=2)) == ["clients received 1 different ids", "3 trades are stored"]
