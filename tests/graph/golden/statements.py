"""Golden files: queries, and the statements that they become. Run as a module, it writes the statements anew."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from cache.answers import AnswerCache
from cache.change_feed import ChangeFeed
from db.engine import Database, driver_url
from graph.explanation import Explanation, explain, shown
from graph.identity.callers import UNRESTRICTED, Caller
from graph.identity.scopes import Scope
from graph.request import GraphQLRequest
from graph.schema import create_schema
from graph.sql_format import formatted
from tests.application import context_of

FOLDER = Path(__file__).parent
QUERIES = sorted(FOLDER.glob("*.graphql"))


def explained(query: Path) -> Explanation:
    """A query may say in comments which variables it has, and the id of the user that sends it."""
    text = query.read_text()
    user = _said(text, "user")
    caller = UNRESTRICTED if user is None else Caller(user, frozenset({Scope.READ}))
    request = GraphQLRequest(text, _said(text, "variables") or {}, None, caller=caller)
    database, feed = Database(driver_url("postgresql://nowhere")), ChangeFeed()
    try:
        return explain(create_schema(), context_of(database, feed, AnswerCache(feed)), request)
    finally:
        asyncio.run(database.close())


def golden(query: Path) -> str:
    """The statement of a query, its parameters, and what its answer depends on."""
    found = explained(query)
    assert found.statement is not None
    lines = [
        formatted(found.statement),
        *(f"-- ${number}: {shown(value)}" for number, value in enumerate(found.parameters, 1)),
        f"-- Depends on: {', '.join(found.tags)}",
        f"-- Stored: {found.tier} ({'private' if found.is_private else 'public'})",
        f"-- Cost: {found.cost:g}",
    ]
    return "\n".join(lines) + "\n"


def _said(text: str, name: str) -> Any:
    found = re.search(rf"^# {name}: (.*)$", text, re.MULTILINE)
    return None if found is None else json.loads(found[1])


if __name__ == "__main__":
    for query in QUERIES:
        query.with_suffix(".sql").write_text(golden(query))
