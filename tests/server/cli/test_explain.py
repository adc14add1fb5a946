"""candlegraph explain, as it is run at a terminal."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.server.cli.test_cli import COMMAND, environment

COIN = "query Coin($symbol: String!) {\n  cryptocurrency(symbol: $symbol) { name latest { close } }\n}\n"
TRADES = "{ trades(first: 3) { nodes { pnl } } health { status } }"


def run(folder: Path, query: str | bytes, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    file = folder / "query.graphql"
    file.write_bytes(query.encode() if isinstance(query, str) else query)
    return run_on("query.graphql", folder, *options, **environ)


def run_on(file: str, folder: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "explain", file, *options],
        cwd=folder,
        env=environment() | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.strip().splitlines()
    return line.removeprefix("Error: ")


def test_a_query_is_explained_without_a_database(tmp_path: Path) -> None:
    lines = printed(run(tmp_path, COIN, "--variables", '{"symbol": "btc"}')).splitlines()
    assert lines[0].startswith("SELECT ")
    assert "FROM cryptocurrencies AS cryptocurrencies_1" in [line.strip() for line in lines]
    after = "\n".join(lines[lines.index("Parameters:") :])
    assert "'btc'" in after
    assert "Depends on:\n  cryptocurrencies:BTC\n  market_data:BTC\n" in after
    assert "Stored in tier SHORT (public), up to 300 s\nCost: 2 points at most" in after
    assert not (tmp_path / ".candlegraph").exists()


def test_variables_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "variables.json").write_text('{"symbol": "ETH"}')
    assert "cryptocurrencies:ETH" in printed(run(tmp_path, COIN, "--variables", "@variables.json"))


def test_json_is_for_programs(tmp_path: Path) -> None:
    found = json.loads(printed(run(tmp_path, TRADES, "--json", "--user", "7", AUTH_MODE="required")))
    assert found["statement"].startswith("SELECT ")
    assert 7 in found["parameters"]
    assert (found["isPrivate"], found["tier"], found["tags"]) == (True, None, [])
    assert found["executedFields"] == ["health"]
    assert found["cost"] == 14
    assert "plan" not in found


def test_one_of_several_operations_is_chosen_by_its_name(tmp_path: Path) -> None:
    both = "query A { health { status } } query B { alerts { totalCount } }"
    assert "FROM alerts" in printed(run(tmp_path, both, "--operation", "B"))
    found = printed(run(tmp_path, both, "--operation", "A"))
    assert found.startswith("No statement: no root field is a row.\n\nExecuted beside the statement: health\n")
    assert "choose one by operationName" in error_of(run(tmp_path, both))


@pytest.mark.parametrize("auth_mode", ["open", "required"])
def test_analyze_shows_the_plan_of_postgresql(tmp_path: Path, demo_url: URL, auth_mode: str) -> None:
    where = {"DATABASE_URL": demo_url.render_as_string(hide_password=False), "AUTH_MODE": auth_mode}
    found = printed(run(tmp_path, TRADES, "--analyze", "--user", "1", **where))
    assert "Execution Time: " in found
    assert "Buffers: " in found
    # As a viewer, PostgreSQL filters rows by its policies, too, which read the setting once.
    assert bool(re.search("Filter: .*InitPlan", found)) == (auth_mode == "required")


REJECTED = [
    ("{ nothing }", [], "query.graphql, line 1: Cannot query field 'nothing' on type 'Query'."),
    ("{\n health {", [], "query.graphql, line 2: Syntax Error: Expected Name, found <EOF>."),
    (
        COIN,
        [],
        "query.graphql, line 1: Variable '$symbol' has invalid value: Expected a value of non-null type 'String!'",
    ),
    (COIN, ["--variables", "["], "The variables are not valid JSON: "),
    (COIN, ["--variables", "[]"], "The variables must be a JSON object."),
    (COIN, ["--variables", "@missing.json"], "missing.json cannot be read: No such file or directory."),
    (b"\xff", [], "query.graphql is not in UTF-8."),
    (
        'mutation { createStrategy(input: { name: "x" }) { strategy { id } } }',
        [],
        "query.graphql: Only queries have a plan, and this is a mutation.",
    ),
    (
        "{ signals(first: 0) { totalCount } }",
        [],
        "query.graphql: This query has no plan: first must be between 1 and 100, but is 0.",
    ),
]


@pytest.mark.parametrize(("query", "options", "message"), REJECTED, ids=[message[:60] for _, _, message in REJECTED])
def test_an_error_is_one_line(tmp_path: Path, query: str | bytes, options: list[str], message: str) -> None:
    assert error_of(run(tmp_path, query, *options)).startswith(message)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    assert error_of(run_on("missing.graphql", tmp_path)) == "missing.graphql cannot be read: No such file or directory."
