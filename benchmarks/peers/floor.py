"""The floor: a bare Starlette route for each query, which runs the best hand-written statement.

There is no GraphQL: PostgreSQL serializes the whole answer, and Python returns its bytes. The difference between a
server and the floor is the cost of everything else. Choice of the statements: array_to_json of an array of rows takes
less processor time than json_agg (by a tenth), than row_to_json, and than concatenated text. Generic plans are forced,
because PostgreSQL otherwise plans again for every page size, which adds a fifth to Q4.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CANDLE = (
    'timestamp AS "openTime", open_price AS open, high_price AS high, low_price AS low, close_price AS close, volume'
)

# The same settings as Candlegraph's own connections have.
SETTINGS = {"plan_cache_mode": "force_generic_plan", "random_page_cost": "1.1"}

Q1 = f"""
SELECT array_to_json(array(
  SELECT candle FROM (
    SELECT * FROM (
      SELECT {CANDLE} FROM market_data
      WHERE cryptocurrency_id = (SELECT id FROM cryptocurrencies WHERE symbol = $1)
      ORDER BY timestamp DESC LIMIT $2
    ) AS newest ORDER BY "openTime"
  ) AS candle
))
"""

COINS = """
SELECT array_to_json(array(
  SELECT coin FROM (
    SELECT coin.symbol, coin.name,
      array(SELECT candle FROM (
        SELECT * FROM (
          SELECT {candle} FROM market_data
          WHERE cryptocurrency_id = coin.id {before} ORDER BY timestamp DESC LIMIT $1
        ) AS newest ORDER BY "openTime"
      ) AS candle) AS candles,
      (SELECT page FROM (SELECT array(SELECT prediction FROM (
        SELECT target_timestamp AS "targetAt", predicted_price AS "predictedPrice", confidence_score AS confidence
        FROM predictions WHERE cryptocurrency_id = coin.id ORDER BY prediction_timestamp DESC, id DESC LIMIT $2
      ) AS prediction) AS nodes) AS page) AS predictions,
      (SELECT page FROM (SELECT array(SELECT signal FROM (
        SELECT signal_type AS type, confidence, timestamp,
          (SELECT page FROM (SELECT array(SELECT trade FROM (
            SELECT trade_type AS side, trim_scale(price)::text AS price, trim_scale(quantity)::text AS quantity, status
            FROM trades WHERE signal_id = signals.signal_id ORDER BY timestamp DESC, trade_id DESC LIMIT 2
          ) AS trade) AS nodes) AS page) AS trades
        FROM signals WHERE cryptocurrency_id = coin.id ORDER BY timestamp DESC, signal_id DESC LIMIT $3
      ) AS signal) AS nodes) AS page) AS signals
    FROM cryptocurrencies AS coin {among} ORDER BY coin.id LIMIT 10
  ) AS coin
))
"""
Q2 = COINS.format(candle=CANDLE, before="", among="")
Q4 = COINS.format(candle=CANDLE, before="AND timestamp < $5", among="WHERE coin.symbol = ANY ($4)")

Q3 = "SELECT row_to_json(coin) FROM (SELECT symbol, name FROM cryptocurrencies WHERE symbol = $1) AS coin"

# From the rollups, with one row for each day.
Q5 = f"""
SELECT array_to_json(array(
  SELECT candle FROM (
    SELECT {CANDLE} FROM candle_rollups_d1
    WHERE cryptocurrency_id = (SELECT id FROM cryptocurrencies WHERE symbol = $1) AND timestamp >= $2 AND timestamp < $3
    ORDER BY timestamp
  ) AS candle
))
"""


async def q1(request: Request) -> Response:
    values = await variables(request)
    candles = await fetch(request, Q1, values["symbol"], values["last"])
    return answer(b'{"data":{"cryptocurrency":{"candles":%b}}}' % candles)


async def q2(request: Request) -> Response:
    values = await variables(request)
    coins = await fetch(request, Q2, values["candles"], values["predictions"], values["signals"])
    return answer(b'{"data":{"cryptocurrencies":{"nodes":%b}}}' % coins)


async def q3(request: Request) -> Response:
    values = await variables(request)
    coin = await fetch(request, Q3, values["symbol"])
    return answer(b'{"data":{"cryptocurrency":%b}}' % coin)


async def q4(request: Request) -> Response:
    values = await variables(request)
    sizes = values["candles"], values["predictions"], values["signals"]
    coins = await fetch(request, Q4, *sizes, values["symbols"], datetime.fromisoformat(values["to"]))
    return answer(b'{"data":{"cryptocurrencies":{"nodes":%b}}}' % coins)


async def q5(request: Request) -> Response:
    values = await variables(request)
    span = datetime.fromisoformat(values["from"]), datetime.fromisoformat(values["to"])
    candles = await fetch(request, Q5, values["symbol"], *span)
    return answer(b'{"data":{"cryptocurrency":{"candles":%b}}}' % candles)


async def variables(request: Request) -> dict[str, Any]:
    values: dict[str, Any] = orjson.loads(await request.body())["variables"]
    return values


async def fetch(request: Request, statement: str, *parameters: Any) -> bytes:
    # asyncpg prepares a statement at its first use and caches it.
    async with request.app.state.pool.acquire() as connection:
        json: str = await connection.fetchval(statement, *parameters)
    return json.encode()


def answer(body: bytes) -> Response:
    return Response(body, media_type="application/json")


@asynccontextmanager
async def lifespan(application: Starlette) -> AsyncIterator[None]:
    size = int(os.environ["DATABASE_POOL_SIZE"])
    url = os.environ["DATABASE_URL"]
    async with asyncpg.create_pool(
        url, min_size=size, max_size=size, reset=_skip_reset, server_settings=SETTINGS
    ) as pool:
        application.state.pool = pool
        yield


async def _skip_reset(_connection: Any) -> None:
    """Skip asyncpg's reset of a released connection: a read changes no session state."""


app = Starlette(
    routes=[Route(f"/{handler.__name__.upper()}", handler, methods=["POST"]) for handler in (q1, q2, q3, q4, q5)],
    lifespan=lifespan,
)
