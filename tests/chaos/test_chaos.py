from pathlib import Path

from sqlalchemy import URL

from tests.chaos.run import Findings, Wanted, chaos


def test_each_trade_is_there_exactly_once(database_url: URL, tmp_path: Path) -> None:
    wanted = Wanted(trades=400, clients=16, between_kills=0.5, limit_seconds=60)
    findings = chaos(database_url, tmp_path, wanted)
    assert findings.failures(wanted) == []


def test_what_is_wrong_is_found() -> None:
    findings = Findings(answers={0: "a", 1: "a"}, stored=3, distinct=2, kept_keys=2)
    assert findings.failures(Wanted(trades=2)) == ["clients were told 1 different ids", "3 trades are stored"]
