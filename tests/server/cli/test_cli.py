"""The command line, run in processes, on an embedded database of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.waiting import eventually_sync

COMMAND = [str(Path(sys.executable).with_name("candlegraph"))]
CSV = """Date,Open,High,Low,Close,Volume
2025-06-28 15:00:00+00:00,10,12,9,11,1.5
2025-06-28 16:00:00+00:00,11,12,10,10.5,2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with data that the commands of this module share."""
    return tmp_path_factory.mktemp("cli")


def environment() -> dict[str, str]:
    """The environment of a command, without settings of the test run."""
    ignored = {"DATABASE_URL", "REDIS_URL", "CANDLEGRAPH_DATA_DIR"}
    return {name: value for name, value in os.environ.items() if name not in ignored} | {"COLUMNS": "200"}


def candlegraph(
    folder: Path, *arguments: str, answer: str | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=environment() | settings,
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def succeeded(folder: Path, *arguments: str, answer: str | None = None) -> str:
    done = candlegraph(folder, *arguments, answer=answer)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_commands_and_options(folder: Path) -> None:
    shown = succeeded(folder, "--help")
    for command in ("serve", "import-candles", "settle", "schema", "db"):
        assert command in shown
    for option in ("--host", "--port", "--workers", "--data-dir", "--no-demo"):
        assert option in succeeded(folder, "serve", "--help")
    for command in ("upgrade", "downgrade", "current", "stats", "verify", "rebuild-rollups", "clean", "reset"):
        assert command in succeeded(folder, "db", "--help")


def test_the_schema_is_printed(folder: Path) -> None:
    assert succeeded(folder, "schema") == (Path(__file__).resolve().parents[3] / "schema.graphql").read_text()


def test_invalid_settings_are_reported(folder: Path) -> None:
    done = candlegraph(folder, "db", "current", DATABASE_URL="mysql://h/d")
    assert done.returncode == 1
    assert "DATABASE_URL: Candlegraph supports PostgreSQL only" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_database_is_reported_on_one_line(folder: Path) -> None:
    done = candlegraph(folder, "db", "stats", DATABASE_URL="postgresql://u@127.0.0.1:1/d")
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: The database cannot be reached."


def test_candles_are_imported_once(folder: Path) -> None:
    (folder / "candles.csv").write_text(CSV)
    arguments = ["import-candles", "candles.csv", "--symbol", "tst", "--name", "Test", "--interval", "H1"]
    assert succeeded(folder, *arguments).startswith("TST: 2 inserted, 0 updated, 0 unchanged, 0 rejected")
    assert succeeded(folder, *arguments).startswith("TST: 0 inserted, 0 updated, 2 unchanged, 0 rejected")


def test_bad_rows_are_reported_by_line(folder: Path) -> None:
    (folder / "bad.csv").write_text(CSV + "2025-06-28 17:00:00+00:00,10,9,11,10,1\n")
    arguments = ["import-candles", "bad.csv", "--symbol", "BAD", "--interval", "H1"]
    done = candlegraph(folder, *arguments)
    assert done.returncode == 1
    assert "line 4: " in done.stderr
    assert succeeded(folder, *arguments, "--skip-bad-rows").startswith(
        "BAD: 2 inserted, 0 updated, 0 unchanged, 1 rejected"
    )


def test_the_database_is_migrated_checked_and_cleaned(folder: Path) -> None:
    assert "(up to date)" in succeeded(folder, "db", "upgrade")
    assert "market_data" in succeeded(folder, "db", "stats")
    assert "WRONG" not in succeeded(folder, "db", "verify")
    assert succeeded(folder, "db", "rebuild-rollups") == "The rollups of 2 coins are rebuilt.\n"
    assert succeeded(folder, "settle") == "0 predictions settled\n"
    old = "4 candles, 0 sentiment rows, 0 sessions and 0 idempotency keys"
    assert f"{old} would be deleted" in succeeded(folder, "db", "clean")
    assert f"{old} deleted" in succeeded(folder, "db", "clean", "--apply")
    assert "0 candles" in succeeded(folder, "db", "clean")


def test_revisions_go_up_and_down(folder: Path) -> None:
    assert succeeded(folder, "db", "downgrade", "-1").startswith("0004_identity (the newest is 0005_ownership)")
    done = candlegraph(folder, "db", "upgrade", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Can't locate revision")
    assert "(up to date)" in succeeded(folder, "db", "upgrade")


def test_a_reset_asks_for_confirmation(folder: Path) -> None:
    assert candlegraph(folder, "db", "reset", answer="n\n").returncode == 1
    assert "empty" in succeeded(folder, "db", "reset", "--yes")
    assert succeeded(folder, "db", "downgrade", "base").startswith("no tables")


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*COMMAND, "serve", "--port", str(port), *arguments]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(process, url, folder / "serve.log")
            yield process, url
        finally:
            process.kill()
            process.wait(10)


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5).close()
        except OSError:
            return False
        return True

    eventually_sync(is_ready, 120, every=0.1)


def ask(url: str, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)["data"]


def postgres_of(folder: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres" and str(folder) in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_stops_cleanly(folder: Path, stop: signal.Signals, workers: str) -> None:
    with server(folder, "--no-demo", "--workers", workers) as (process, url):
        assert ask(url, "{ cryptocurrencies { totalCount } }") == {"cryptocurrencies": {"totalCount": 0}}
        assert postgres_of(folder)
        process.send_signal(stop)
        assert process.wait(60) == 0
    assert postgres_of(folder) == []
    assert b"Traceback" not in (folder / "serve.log").read_bytes()


def test_a_killed_server_restarts_with_its_data(tmp_path: Path) -> None:
    with server(tmp_path) as (process, url):
        output = (tmp_path / "serve.log").read_text()
        assert "Demo data: 5 coins" in output
        assert f"Ready: {url}/graphql" in output
        before = ask(url, "{ trades { totalCount } predictions { totalCount } }")
        assert before["trades"]["totalCount"] > 100
        process.kill()
    with server(tmp_path) as (process, url):
        assert "Demo data" not in (tmp_path / "serve.log").read_text()
        assert ask(url, "{ trades { totalCount } predictions { totalCount } }") == before
        process.terminate()
        assert process.wait(60) == 0
    assert postgres_of(tmp_path) == []


def test_a_port_in_use_is_reported_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        done = candlegraph(tmp_path, "serve", "--port", str(used.getsockname()[1]))
    assert done.returncode != 0
    assert "address already in use" in done.stderr.lower()
    assert not (tmp_path / ".candlegraph").exists()
