"""What there is to see, by SQL alone, and what of it was shown."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import asyncpg
from sqlalchemy import URL

from tests.application import Client
from tests.server.privacy.documents import ALIAS, Document, id_of, read_id
from tests.server.privacy.world import USERS, Asker

PRIVATE = {"Strategy", "Signal", "Trade", "Alert", "User", "ApiKey"}
KEYS = {
    "Cryptocurrency": ("cryptocurrencies", "id"),
    "Model": ("models", "id"),
    "Prediction": ("predictions", "id"),
    "Sentiment": ("sentiment_data", "sentiment_id"),
    "Strategy": ("trading_strategies", "strategy_id"),
    "Signal": ("signals", "signal_id"),
    "Trade": ("trades", "trade_id"),
    "Alert": ("alerts", "alert_id"),
    "User": ("users", "user_id"),
    "ApiKey": ("api_keys", "key_id"),
}
STRATEGIES = {user_id: [id_of("Strategy", 2 * user_id - 1), id_of("Strategy", 2 * user_id)] for user_id in USERS}
PAGED = {
    f"{field}{order}": f"{field}(@{', orderBy: ' + order if order else ''})"
    for field, orders in {
        "strategies": [""],
        "signals": ["NEWEST_FIRST", "OLDEST_FIRST"],
        "trades": ["NEWEST_FIRST", "OLDEST_FIRST"],
        "alerts": ["NEWEST_FIRST", "OLDEST_FIRST"],
    }.items()
    for order in orders
}
EDGES = "{ totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } }"


async def fetch(url: URL, query: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        return [row[0] for row in await connection.fetch(query, *values)]
    finally:
        await connection.close()


async def all_ids(url: URL) -> dict[str, list[str]]:
    """The ids of all rows, by type."""
    return {
        name: [id_of(name, key) for key in await fetch(url, f"SELECT {key} FROM {table} ORDER BY 1")]
        for name, (table, key) in KEYS.items()
    }


async def visible_to(asker: Asker, url: URL) -> set[tuple[str, int]]:
    """What somebody may see of what is private."""
    found = set()
    for name in PRIVATE:
        table, key = KEYS[name]
        allowed = "$1 OR user_id = $2"
        if name == "Alert":
            allowed += " OR (user_id IS NULL AND $2 IS NOT NULL)"
        query = f"SELECT {key} FROM {table} WHERE {allowed}".replace("$2", "$2::bigint")
        found |= {(name, row) for row in await fetch(url, query, asker.sees_all, asker.user_id)}
    return found


@cache
def shown_in(answer: bytes) -> set[tuple[str, int]]:
    """What an answer shows of what is private: whatever has an id."""
    return {row for row in map(read_id, _ids(json.loads(answer))) if row[0] in PRIVATE}


def _ids(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (part[name] for name in ("id", f"{ALIAS}id") if isinstance(part.get(name), str))
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _ids(inner)


async def pages(client: Client) -> list[Document]:
    """Pages from the cursors of all rows, whosever they are, forward and backward: of the root and of the viewer."""
    found = []
    for called in PAGED.values():
        field = called.partition("(")[0]
        whole = await client.data(f"{{ {called.replace('@', 'first: 100')} {{ edges {{ cursor }} }} }}")
        cursors = [edge["cursor"] for edge in whole[field]["edges"]][::3]
        for number, rows in enumerate(("first: 2, after: $c", "last: 2, before: $c")):
            page = called.replace("@", rows)
            text = f"query($c: String) {{ page: {page} {EDGES} viewer {{ {page} {EDGES} }} }}"
            found += [Document(text, {"c": cursor}) for cursor in cursors[number:]]
        found.append(Document(f"{{ {called.replace('@', 'last: 3')} {EDGES} }}"))
    return found


def strategies_of_others() -> list[Document]:
    """Whatever is narrowed by a strategy, be it anybody's."""
    text = (
        "query($id: ID!) {{ {0}(filter: {{strategyId: $id}}) {1} viewer {{ {0}(filter: {{strategyId: $id}}) {1} }}"
        ' cryptocurrency(symbol: "AAA") {{ {0}(filter: {{strategyId: $id}}) {1} }} }}'
    )
    return [
        Document(text.format(field, EDGES), {"id": id_})
        for field in ("signals", "trades")
        for ids in STRATEGIES.values()
        for id_ in ids
    ]
