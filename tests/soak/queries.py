"""The queries of readers. A field that contains a version has the name that tests/soak/versions.py expects."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

DAY = timedelta(days=1)


class Query(NamedTuple):
    name: str
    text: str
    variables: dict[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        return {"query": self.text, "variables": self.variables, "operationName": self.name}

    @property
    def url(self) -> str:
        """The query string."""
        return urlencode({**self.body, "variables": orjson.dumps(self.variables).decode()})


def _of_coin(name: str, selection: str, symbol: str, **variables: str) -> Query:
    declared = "".join(f", ${variable}: DateTime!" for variable in variables)
    text = f"query {name}($symbol: String!{declared}) {{ {selection} }}"
    return Query(name, text, {"symbol": symbol, **variables})


PREDICTIONS = "nodes { id confidence predictedPrice targetAt modelName status }"
SIGNALS = "nodes { id type confidence timestamp trades { totalCount } }"


def page(symbol: str, closed: datetime) -> Query:
    selection = f"""
        cryptocurrency(symbol: $symbol) {{
            id symbol name
            latest {{ openTime close volume isClosed }}
            day: candles(interval: D1, last: 2) {{ openTime high close }}
            closed: candles(from: $from, to: $to) {{ openTime close volume }}
            predictions(first: 5) {{ {PREDICTIONS} }}
            signals(first: 5) {{ {SIGNALS} }}
        }}"""
    return _of_coin("Page", selection, symbol, **_range(closed, DAY))


def closed_range(symbol: str, closed: datetime, length: timedelta = DAY) -> Query:
    selection = "cryptocurrency(symbol: $symbol) { id closed: candles(from: $from, to: $to) { openTime close volume } }"
    return _of_coin("Closed", selection, symbol, **_range(closed, length))


def _range(begin: datetime, length: timedelta) -> dict[str, str]:
    return {"from": begin.isoformat(), "to": (begin + length).isoformat()}


def _queries_of(symbol: str, closed: datetime) -> list[Query]:
    """The queries for one coin."""
    return [
        page(symbol, closed),
        _of_coin("Price", "cryptocurrency(symbol: $symbol) { id latest { close volume } }", symbol),
        _of_coin(
            "Chart",
            'cryptocurrency(symbol: $symbol) { id name chart: series(from: "now-7d") { openTime close volume } }',
            symbol,
        ),
        closed_range(symbol, closed),
        _of_coin("Predictions", f"predictions(first: 20, filter: {{ symbol: $symbol }}) {{ {PREDICTIONS} }}", symbol),
        _of_coin(
            "Signals",
            f"signals(first: 10, filter: {{ symbol: $symbol }}) {{ {SIGNALS[:-1]} cryptocurrency {{ id name }} }} }}",
            symbol,
        ),
    ]


def models() -> Query:
    return Query("Models", "query Models { models { nodes { id version type accuracy } } }", {})


def alerts() -> Query:
    return Query("Alerts", "query Alerts { alerts(first: 10) { nodes { id type message isRead } } }", {})


def _queries_of_all() -> list[Query]:
    """The queries for all coins."""
    texts = {
        "Prices": "cryptocurrencies { nodes { id symbol name latest { openTime close volume } } }",
        "Names": "cryptocurrencies { totalCount nodes { id symbol name } }",
        "Newest": f"predictions(first: 30) {{ {PREDICTIONS[:-1]} cryptocurrency {{ id name }} }} }}",
        "Given": f"signals(first: 20) {{ {SIGNALS} }}",
        "Best": "models { nodes { id accuracy predictions(first: 3) { nodes { id confidence } } } }",
        "Board": "cryptocurrencies { nodes { id name signals(first: 1) { nodes { id confidence } } } }",
        "Days": "cryptocurrencies { nodes { id day: candles(interval: D1, last: 1) { openTime high } } }",
        "Latest": "trades(first: 10) { nodes { side price signal { id confidence trades { totalCount } } } }",
    }
    return [
        *(Query(name, f"query {name} {{ {selection} }}", {}) for name, selection in texts.items()),
        models(),
        alerts(),
    ]


def mix(coins: Sequence[tuple[str, datetime]]) -> list[Query]:
    """All queries, the hottest first: the same in every run."""
    queries = [query for coin in coins for query in _queries_of(*coin)] + _queries_of_all()
    Random(5).shuffle(queries)
    return queries
