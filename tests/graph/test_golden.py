"""Golden files show what queries become, and fail when that changes."""

from pathlib import Path

import pytest

from graph.sql_format import formatted
from tests.graph.golden.statements import FOLDER, QUERIES, explained, golden

RENEW = "The statement has changed. If that is intended, run scripts/golden and review the difference."


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.stem)
def test_the_statement_of_a_query_is_that_of_its_golden_file(query: Path) -> None:
    file = query.with_suffix(".sql")
    assert file.exists(), f"{file.name} is missing: run scripts/golden."
    assert golden(query) == file.read_text(), RENEW


def test_each_golden_file_has_a_query() -> None:
    assert {file.stem for file in FOLDER.glob("*.sql")} == {query.stem for query in QUERIES}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.stem)
def test_formatting_changes_only_white_space(query: Path) -> None:
    statement = explained(query).statement or ""
    assert "".join(formatted(statement).split()) == "".join(statement.split())


def test_formatting_leaves_texts_and_names_alone() -> None:
    statement = "SELECT 'it''s  FROM (x', \"a  WHERE\" FROM t WHERE a IS DISTINCT FROM b"
    assert formatted(statement) == ("SELECT 'it''s  FROM (x',\n  \"a  WHERE\"\nFROM t\nWHERE a IS DISTINCT FROM b")
