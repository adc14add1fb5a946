"""The rows that writers change, and the statements for it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from graph.compiler.global_ids import global_id
from tests.soak.queries import Query, alerts, models, page
from tests.soak.versions import HIGH, PER_SHARE, Subject

Connection: TypeAlias = Any
ROWS = 3


class Coin(NamedTuple):
    """newest, closed: open times of the candles that are written to."""

    id: int
    symbol: str
    newest: datetime
    closed: datetime
    predictions: list[int]
    signals: list[int]


class World(NamedTuple):
    coins: list[Coin]
    models: list[int]
    alerts: list[int]


class Write(NamedTuple):
    """A statement that writes the next version of its subject, and returns it; and a query that shows that."""

    subject: Subject
    statement: str
    arguments: tuple[Any, ...]
    shown_by: Query


# Every version begins at 0, except the number of trades.
BEGIN = f"""
UPDATE cryptocurrencies SET name = symbol || ' 0';
UPDATE market_data SET volume = 0, high_price = {HIGH}
WHERE (cryptocurrency_id, timestamp) IN (SELECT cryptocurrency_id, max(timestamp) FROM market_data GROUP BY 1);
UPDATE market_data SET volume = 0
WHERE timestamp = (SELECT max(timestamp) - interval '5 days' FROM market_data);
UPDATE predictions SET confidence_score = 0;
UPDATE signals SET confidence = 0;
UPDATE models SET accuracy = 0;
UPDATE alerts SET message = 'Alert 0';
"""
COINS = f"""
SELECT id, symbol,
    (SELECT max(timestamp) FROM market_data WHERE cryptocurrency_id = c.id),
    (SELECT max(timestamp) - interval '5 days' FROM market_data),
    ARRAY(
        SELECT id FROM predictions WHERE cryptocurrency_id = c.id ORDER BY prediction_timestamp DESC, id DESC
        LIMIT {ROWS}
    ),
    ARRAY(SELECT signal_id FROM signals WHERE cryptocurrency_id = c.id ORDER BY timestamp DESC, 1 DESC LIMIT {ROWS})
FROM cryptocurrencies c ORDER BY id
"""
MODELS = "SELECT array_agg(id) FROM models"
ALERTS = f"SELECT ARRAY(SELECT alert_id FROM alerts ORDER BY timestamp DESC, alert_id DESC LIMIT {ROWS})"


async def begin(connection: Connection) -> World:
    await connection.execute(BEGIN)
    coins = [Coin(*row) for row in await connection.fetch(COINS)]
    return World(coins, await connection.fetchval(MODELS), await connection.fetchval(ALERTS))


# The whole candle again, as an importer writes it.
CANDLE = """
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
)
SELECT cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
FROM market_data WHERE cryptocurrency_id = $1 AND timestamp = $2
ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE
SET volume = market_data.volume + 1, high_price = market_data.high_price + 1
RETURNING volume::int
"""
CLOSED = """
UPDATE market_data SET volume = volume + 1 WHERE cryptocurrency_id = $1 AND timestamp = $2 RETURNING volume::int
"""
NAME = """
UPDATE cryptocurrencies SET name = symbol || ' ' || split_part(name, ' ', 2)::int + 1
WHERE id = $1 RETURNING split_part(name, ' ', 2)::int
"""
ALERT = """
UPDATE alerts SET message = 'Alert ' || split_part(message, ' ', 2)::int + 1
WHERE alert_id = $1 RETURNING split_part(message, ' ', 2)::int
"""
# Other writers may add trades at the same time: this is a lower bound.
TRADE = """
INSERT INTO trades (cryptocurrency_id, signal_id, trade_type, price, quantity, status, timestamp)
VALUES ($2, $1, 'BUY', 1, 1, 'EXECUTED', now())
RETURNING (SELECT count(*)::int + 1 FROM trades WHERE signal_id = $1)
"""


def _share(table: str, column: str, key: str) -> str:
    return f"""
        UPDATE {table} SET {column} = {column} + 1.0 / {PER_SHARE}
        WHERE {key} = $1 RETURNING round({column} * {PER_SHARE})::int
    """


PREDICTION = _share("predictions", "confidence_score", "id")
SIGNAL = _share("signals", "confidence", "signal_id")
MODEL = _share("models", "accuracy", "id")


def writes(world: World) -> list[tuple[float, list[Write]]]:
    """All possible writes, by kind, each with its weight. The order is that in which rows may be locked."""
    coins = world.coins
    return [
        (4, [_of_coin(coin, "newest", CANDLE, coin.newest) for coin in coins]),
        (0.5, [_of_coin(coin, "closed", CLOSED, coin.closed) for coin in coins]),
        (0.3, [_of_coin(coin, "name", NAME) for coin in coins]),
        (2, _rows_of(coins, lambda coin: coin.predictions, "Prediction", "confidence", PREDICTION)),
        (1.5, _rows_of(coins, lambda coin: coin.signals, "Signal", "confidence", SIGNAL)),
        (1, [_trade(coin, signal) for coin in coins for signal in coin.signals]),
        (0.3, [Write((global_id("Model", row), "accuracy"), MODEL, (row,), models()) for row in world.models]),
        (1, [Write((global_id("Alert", row), "message"), ALERT, (row,), alerts()) for row in world.alerts]),
    ]


def _of_coin(coin: Coin, what: str, statement: str, *arguments: Any) -> Write:
    subject = global_id("Cryptocurrency", coin.id), what
    return Write(subject, statement, (coin.id, *arguments), page(coin.symbol, coin.closed))


def _rows_of(
    coins: list[Coin], rows: Callable[[Coin], list[int]], type_name: str, what: str, statement: str
) -> list[Write]:
    return [
        Write((global_id(type_name, row), what), statement, (row,), page(coin.symbol, coin.closed))
        for coin in coins
        for row in rows(coin)
    ]


def _trade(coin: Coin, signal: int) -> Write:
    subject = global_id("Signal", signal), "trades"
    return Write(subject, TRADE, (signal, coin.id), page(coin.symbol, coin.closed))
