"""In short: servers are killed while trades are recorded, and each is there exactly once."""

from pathlib import Path

from sqlalchemy import URL

from tests.chaos.run import Wanted, chaos
from tests.chaos.servers import Pause


def test_each_trade_is_there_exactly_once(database_url: URL, tmp_path: Path) -> None:
    told: list[int] = []
    wanted = Wanted(trades=300, clients=8, servers=2, pause=Pause(0.1, 0.3), most_kills=2, most_seconds=60)
    findings = chaos(database_url, tmp_path, wanted, lambda answered, _: told.append(answered))
    assert findings.wrong == []
    assert findings.rows == 300
    assert findings.kills.total() == 2
    assert findings.again.total() > 0
    assert told
