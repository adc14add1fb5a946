"""The embedded PostgreSQL: shared by the processes that open its folder, and stopped by the last."""

import json
from pathlib import Path

import pytest

from db.embedded import EmbeddedPostgres


def test_the_server_starts_stops_and_starts_again(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(tmp_path)
    assert embedded.is_new
    with pytest.raises(RuntimeError, match="No PostgreSQL runs"):
        embedded.url()
    for _ in range(2):
        url = embedded.open()
        assert not embedded.is_new
        assert embedded.url() == url
        embedded.close()
        with pytest.raises(RuntimeError, match="No PostgreSQL runs"):
            embedded.url()


def test_another_live_process_keeps_the_server_running_and_a_dead_one_does_not(tmp_path: Path) -> None:
    embedded = EmbeddedPostgres(tmp_path)
    embedded.open()
    registry = embedded.data / ".handle_pids.json"
    alive, dead = 1, 2**22 - 7
    registry.write_text(json.dumps([*json.loads(registry.read_text()), alive]))
    embedded.close()
    assert embedded.url()
    embedded.open()
    registry.write_text(json.dumps([*json.loads(registry.read_text())[1:], dead]))
    embedded.close()
    with pytest.raises(RuntimeError, match="No PostgreSQL runs"):
        embedded.url()


def test_a_stale_pid_file_is_not_taken_for_a_running_server(tmp_path: Path) -> None:
    """After a crash of the machine, the process id in the file can belong to an unrelated process."""
    embedded = EmbeddedPostgres(tmp_path)
    embedded.open()
    pid_file = embedded.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.close()
    pid_file.write_text("\n".join(["1", *lines[1:]]) + "\n")
    embedded.open()
    assert embedded.url()
    embedded.close()
