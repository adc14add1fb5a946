"""The five queries, in the dialect of each server. Aliases give all answers the same keys."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from benchmarks.data import DAYS_OF_MINUTES, END, HOURS, MINUTES_SYMBOL, SYMBOLS

CANDLE = "openTime open high low close volume"
PREDICTION = "targetAt predictedPrice confidence"
SIGNAL = "type confidence timestamp"
TRADE = "side price quantity status"
# PostGraphile's names of the columns.
PG_CANDLE = "openTime: timestamp open: openPrice high: highPrice low: lowPrice close: closePrice volume"
PG_PREDICTION = "targetAt: targetTimestamp predictedPrice confidence: confidenceScore"
PG_SIGNAL = "type: signalType confidence timestamp"
PG_TRADE = "side: tradeType price quantity status"

SINCE = "2024-11-01T00:00:00Z"
UNTIL = END.strftime("%Y-%m-%dT%H:%M:%SZ")
VARIANTS = 1000
# Placeholder that the load generator replaces by the number of the request.
COUNT = "@COUNT@"


# Ways to run Candlegraph, and the server of its recorded answers: all receive the same documents.
OURS = ("candlegraph", "cold", "memory", "redis", "static")


@dataclass(frozen=True)
class Query:
    """documents: by the server's name; other servers do not support the query. variables: for all servers."""

    name: str
    title: str
    documents: dict[str, str]
    variables: list[dict[str, Any]]
    passes_variables: bool = False
    aliased: str = ""  # the field with a unique alias in each document for the server "cold"
    notes: dict[str, str] = field(default_factory=dict)

    def bodies(self, server: str) -> list[dict[str, Any]]:
        """The request bodies, to be sent in rotation. The floor has no documents and receives only the variables."""
        if server == "floor":
            return [{"variables": variables} for variables in self.variables]
        document = self.documents["candlegraph" if server in OURS else server]
        if server == "cold":
            document = document.replace(f" {self.aliased}", f" {self.aliased}_{COUNT}: {self.aliased}", 1)
        if self.passes_variables:
            return [{"query": document, "variables": variables} for variables in self.variables]
        return [{"query": document}]

    def supports(self, server: str) -> bool:
        return server in OURS or server == "floor" or server in self.documents


def _nested(candles: str, predictions: str, signals: str) -> str:
    return (
        f"nodes {{ symbol name candles({candles}) {{ {CANDLE} }} "
        f"predictions({predictions}) {{ nodes {{ {PREDICTION} }} }} "
        f"signals({signals}) {{ nodes {{ {SIGNAL} trades(first: 2) {{ nodes {{ {TRADE} }} }} }} }} }}"
    )


def _flat(candles: str, predictions: str, signals: str) -> str:
    return (
        f"symbol name candles({candles}) {{ {CANDLE} }} predictions({predictions}) {{ {PREDICTION} }} "
        f"signals({signals}) {{ {SIGNAL} trades(first: 2) {{ {TRADE} }} }}"
    )


def _postgraphile(candles: str, predictions: str, signals: str) -> str:
    # Lists rather than connections: they cost less, according to its documentation.
    return (
        f"symbol name candles: marketDataByCryptocurrencyIdList({candles}, orderBy: [TIMESTAMP_DESC]) "
        f"{{ {PG_CANDLE} }} "
        f"predictions: predictionsByCryptocurrencyIdList({predictions}, orderBy: [PREDICTION_TIMESTAMP_DESC]) "
        f"{{ {PG_PREDICTION} }} "
        f"signals: signalsByCryptocurrencyIdList({signals}, orderBy: [TIMESTAMP_DESC]) {{ {PG_SIGNAL} "
        f"trades: tradesBySignalIdList(first: 2, orderBy: [TIMESTAMP_DESC]) {{ {PG_TRADE} }} }}"
    )


def _candles() -> Query:
    return Query(
        "Q1",
        "1,000 candles of one coin, six fields",
        {
            "candlegraph": f'{{ cryptocurrency(symbol: "BTC") {{ candles(last: 1000) {{ {CANDLE} }} }} }}',
            "strawberry": f'{{ cryptocurrency(symbol: "BTC") {{ candles(last: 1000) {{ {CANDLE} }} }} }}',
            "postgraphile": '{ cryptocurrency: cryptocurrencyBySymbol(symbol: "BTC") { candles: '
            f"marketDataByCryptocurrencyIdList(first: 1000, orderBy: [TIMESTAMP_DESC]) {{ {PG_CANDLE} }} }} }}",
        },
        [{"symbol": "BTC", "last": 1000}],
        aliased="candles",
    )


def _coins() -> Query:
    arguments = ("last: 24", "first: 5", "first: 5")
    first = ("first: 24", "first: 5", "first: 5")
    return Query(
        "Q2",
        "10 coins, each with 24 candles, 5 predictions, 5 signals and their trades",
        {
            "candlegraph": f"{{ cryptocurrencies(first: 10) {{ {_nested(*arguments)} }} }}",
            "strawberry": f"{{ cryptocurrencies(first: 10) {{ {_flat(*arguments)} }} }}",
            "postgraphile": f"{{ cryptocurrencies: allCryptocurrenciesList(first: 10) {{ {_postgraphile(*first)} }} }}",
        },
        [{"symbols": SYMBOLS[:10], "to": UNTIL, "candles": 24, "predictions": 5, "signals": 5}],
        aliased="name",
    )


def _coin() -> Query:
    return Query(
        "Q3",
        "one coin, two fields",
        {
            "candlegraph": '{ cryptocurrency(symbol: "BTC") { symbol name } }',
            "strawberry": '{ cryptocurrency(symbol: "BTC") { symbol name } }',
            "postgraphile": '{ cryptocurrency: cryptocurrencyBySymbol(symbol: "BTC") { symbol name } }',
        },
        [{"symbol": "BTC"}],
        aliased="name",
    )


def _changing_coins() -> Query:
    declared = "$symbols: [String!], $to: {}, $candles: Int!, $predictions: Int!, $signals: Int!"
    ours = ("to: $to, last: $candles", "first: $predictions", "first: $signals")
    theirs = ("first: $candles, condition: { opensBefore: $to }", *ours[1:])
    return Query(
        "Q4",
        "as Q2, with variables that change at each request",
        {
            "candlegraph": f"query ({declared.format('DateTime')}) "
            f"{{ cryptocurrencies(first: 10, filter: {{ symbols: $symbols }}) {{ {_nested(*ours)} }} }}",
            "strawberry": f"query ({declared.format('DateTime')}) "
            f"{{ cryptocurrencies(first: 10, symbols: $symbols) {{ {_flat(*ours)} }} }}",
            "postgraphile": f"query ({declared.format('Datetime')}) {{ cryptocurrencies: "
            f"allCryptocurrenciesList(first: 10, condition: {{ symbols: $symbols }}) {{ {_postgraphile(*theirs)} }} }}",
        },
        [_variant(number) for number in range(VARIANTS)],
        passes_variables=True,
        aliased="name",
    )


def _variant(number: int) -> dict[str, Any]:
    """Variables of Q4: ten of the twenty coins, another hour, and page sizes whose sums are nearly equal."""
    first = number % len(SYMBOLS)
    end = END.timestamp() - 3600 * (number * 7919 % (HOURS - 100))
    shift = number % 3 - 1
    return {
        "symbols": (SYMBOLS * 2)[first : first + 10],
        "to": END.fromtimestamp(end, END.tzinfo).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "candles": 24 + number % 5 - 2,
        "predictions": 5 + shift,
        "signals": 5 - shift,
    }


def _days() -> Query:
    no_buckets = "cannot aggregate candles into longer intervals"
    candles = f'candles(interval: D1, from: "{SINCE}", to: "{UNTIL}") {{ {CANDLE} }}'
    return Query(
        "Q5",
        f"two years of daily candles ({DAYS_OF_MINUTES}) from minutes",
        {"candlegraph": f'{{ cryptocurrency(symbol: "{MINUTES_SYMBOL}") {{ {candles} }} }}'},
        [{"symbol": MINUTES_SYMBOL, "from": SINCE, "to": UNTIL}],
        aliased="candles",
        notes={"strawberry": no_buckets, "postgraphile": no_buckets},
    )


@cache
def queries() -> dict[str, Query]:
    return {query.name: query for query in (_candles(), _coins(), _coin(), _changing_coins(), _days())}
