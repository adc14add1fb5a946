"""Coins, candles, models and predictions: what is everybody's."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import URL

from tests.application import Client
from tests.graph.mutations.asking import mutate, new_name, refused, scalar

START = datetime(2024, 1, 1, tzinfo=UTC)


async def coin_of(client: Client, interval: str = "H1") -> str:
    made = await mutate(
        client,
        "addCryptocurrency",
        "cryptocurrency { symbol }",
        symbol=new_name(),
        name="A coin",
        baseInterval=interval,
    )
    symbol: str = made["cryptocurrency"]["symbol"]
    return symbol


def candle(hour: int, close: float = 2.0, **values: Any) -> dict[str, Any]:
    at = (START + timedelta(hours=hour)).isoformat()
    return {"openTime": at, "open": 1, "high": 3, "low": 0.5, "close": close, "volume": 10} | values


async def test_a_coin_is_added_and_changed(alice: Client) -> None:
    symbol = await coin_of(alice)
    assert symbol == symbol.upper()
    assert await refused(alice, "addCryptocurrency", symbol=symbol.lower(), name="x", baseInterval="H1") == [
        ("ALREADY_EXISTS", "symbol")
    ]
    changed = await mutate(
        alice,
        "updateCryptocurrency",
        "cryptocurrency { name isActive coinGeckoId }",
        symbol=symbol.lower(),
        isActive=False,
        coinGeckoId=symbol,
    )
    assert changed["cryptocurrency"] == {"name": "A coin", "isActive": False, "coinGeckoId": symbol}
    other = await coin_of(alice)
    assert await refused(alice, "updateCryptocurrency", symbol=other, coinGeckoId=symbol) == [
        ("ALREADY_EXISTS", "coinGeckoId")
    ]
    assert await refused(alice, "addCryptocurrency", symbol="a b", name="x", baseInterval="H1") == [
        ("INVALID_TEXT", "symbol")
    ]
    assert await refused(alice, "updateCryptocurrency", symbol="NONE", name="x") == [("NOT_FOUND", "symbol")]


async def test_candles_are_inserted_updated_or_left(alice: Client) -> None:
    symbol = await coin_of(alice)
    counts = "inserted updated unchanged settled"
    first = await mutate(alice, "recordCandles", counts, symbol=symbol, candles=[candle(1), candle(0), candle(2)])
    assert first == {"inserted": 3, "updated": 0, "unchanged": 0, "settled": 0}
    second = await mutate(
        alice,
        "recordCandles",
        f"{counts} cryptocurrency {{ candles {{ close source }} day: candles(interval: D1) {{ close volume }} }}",
        symbol=symbol,
        candles=[candle(1), candle(2, close=2.5), candle(3)],
        source="api",
    )
    coin = second.pop("cryptocurrency")
    assert second == {"inserted": 1, "updated": 1, "unchanged": 1, "settled": 0}
    assert [found["close"] for found in coin["candles"]] == [2, 2, 2.5, 2]
    assert coin["day"] == [{"close": 2, "volume": 40}]


WRONG = [
    (candle(0, openTime="2024-01-01T00:30:00Z"), "openTime"),
    (candle(0, openTime="now+1d"), "openTime"),
    (candle(0, high=0.4), "high"),
    (candle(0, close=9), "close"),
    (candle(0, volume=-1), "volume"),
    (candle(0, marketCap=-1), "marketCap"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG, ids=[field for _, field in WRONG])
async def test_one_wrong_candle_refuses_all(alice: Client, wrong: dict[str, Any], field: str) -> None:
    symbol = await coin_of(alice)
    told = await refused(alice, "recordCandles", symbol=symbol, candles=[candle(5), wrong])
    assert ("INVALID_CANDLE", f"candles.1.{field}") in told
    query = "query($s: String!) { cryptocurrency(symbol: $s) { candles { close } } }"
    assert (await alice.data(query, s=symbol))["cryptocurrency"]["candles"] == []


async def test_candles_that_do_not_belong(alice: Client) -> None:
    symbol = await coin_of(alice)
    assert await refused(alice, "recordCandles", symbol=symbol, candles=[candle(0), candle(0)]) == [
        ("INVALID_CANDLE", "candles.1.openTime")
    ]
    assert await refused(alice, "recordCandles", symbol=symbol, interval="M1", candles=[candle(0)]) == [
        ("WRONG_INTERVAL", "interval")
    ]
    assert await refused(alice, "recordCandles", symbol=symbol, candles=[]) == [("TOO_MANY_CANDLES", "candles")]
    assert await refused(alice, "recordCandles", symbol="NONE", candles=[candle(0)]) == [("NOT_FOUND", "symbol")]


async def test_ten_thousand_at_once(alice: Client) -> None:
    symbol = await coin_of(alice)
    began = time.process_time()
    counts = await mutate(
        alice, "recordCandles", "inserted", symbol=symbol, candles=[candle(hour) for hour in range(10_000)]
    )
    assert counts["inserted"] == 10_000
    assert time.process_time() - began < 3
    assert await refused(alice, "recordCandles", symbol=symbol, candles=[candle(n) for n in range(10_001)]) == [
        ("TOO_MANY_CANDLES", "candles")
    ]


async def test_candles_settle_predictions(alice: Client) -> None:
    symbol = await coin_of(alice)
    times = {"predictedAt": START.isoformat(), "targetAt": (START + timedelta(hours=2)).isoformat()}
    made = await mutate(
        alice,
        "recordPredictions",
        "settled predictions { id status }",
        modelName="tests",
        modelVersion="1",
        predictions=[{"symbol": symbol, "predictedPrice": 3, **times}],
    )
    (prediction,) = made["predictions"]
    assert (made["settled"], prediction["status"]) == (0, "PENDING")
    selection = "settled cryptocurrency { predictions { nodes { status actual { price errorPercent } } } }"
    told = await mutate(alice, "recordCandles", selection, symbol=symbol, candles=[candle(1), candle(2)])
    assert told["settled"] == 1
    assert told["cryptocurrency"]["predictions"]["nodes"] == [
        {"status": "SETTLED", "actual": {"price": 2, "errorPercent": 50}}
    ]
    made = await mutate(
        alice,
        "recordPredictions",
        "settled predictions { actual { price } }",
        modelName="tests",
        modelVersion="1",
        predictions=[{"symbol": symbol, "predictedPrice": 4, **times}],
    )
    assert made == {"settled": 1, "predictions": [{"actual": {"price": 2}}]}


async def test_models_and_what_they_predict(alice: Client, bob: Client) -> None:
    name = new_name()
    made = await mutate(
        alice, "registerModel", "model { name version accuracy extra }", name=name, version="1", accuracy=0.5
    )
    assert made["model"] == {"name": name, "version": "1", "accuracy": 0.5, "extra": None}
    assert await refused(alice, "registerModel", name=name, version="1") == [("ALREADY_EXISTS", "version")]
    assert await refused(alice, "registerModel", name=name, version="2", auc=2) == [("OUT_OF_RANGE", "auc")]
    forecasts = [{"symbol": symbol, "targetAt": "now+1h", "predictedPrice": 5} for symbol in ("eth", "BTC", "ETH")]
    payloads = await asyncio.gather(
        *(
            mutate(
                client,
                "recordPredictions",
                "model { id version } predictions { cryptocurrency { symbol } modelVersion }",
                modelName=name,
                modelVersion="new",
                predictions=forecasts,
            )
            for client in (alice, bob)
        )
    )
    assert payloads[0]["model"] == payloads[1]["model"]
    symbols = [found["cryptocurrency"]["symbol"] for found in payloads[0]["predictions"]]
    assert symbols == ["ETH", "BTC", "ETH"]
    told = await refused(
        alice,
        "recordPredictions",
        modelName=name,
        modelVersion="1",
        predictions=[
            {"symbol": "NONE", "targetAt": "now+1h", "predictedPrice": 5},
            {"symbol": "BTC", "targetAt": "now-1h", "predictedPrice": -5, "confidence": 2},
        ],
    )
    assert told == [
        ("NOT_FOUND", "predictions.0.symbol"),
        ("OUT_OF_RANGE", "predictions.1.predictedPrice"),
        ("OUT_OF_RANGE", "predictions.1.confidence"),
        ("OUT_OF_RANGE", "predictions.1.targetAt"),
    ]


async def test_nothing_is_registered_for_predictions_that_are_refused(alice: Client, written_url: URL) -> None:
    name = new_name()
    await refused(alice, "recordPredictions", modelName=name, modelVersion="1", predictions=[])
    assert await scalar(written_url, "SELECT count(*) FROM models WHERE name = :name", name=name) == 0
