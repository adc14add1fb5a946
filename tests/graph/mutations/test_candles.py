"""recordCandles."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.graph.mutations.people import People, Person

RECORD = """mutation($input: RecordCandlesInput!) { recordCandles(input: $input) {
  userErrors { field message code } inserted updated unchanged settled
  cryptocurrency { symbol latest { openTime close } }
} }"""
PREDICT = (
    """mutation($input: RecordPredictionsInput!) { recordPredictions(input: $input) { settled predictions { id } } }"""
)
ACTUAL = "{ predictions { nodes { status actual { price errorPercent } } } }"
COUNTS = ("inserted", "updated", "unchanged", "settled")
START = datetime(2026, 1, 31, tzinfo=UTC)


def candle(hour: int, close: float = 2.0, **values: Any) -> dict[str, Any]:
    opened = (START + timedelta(hours=hour)).isoformat()
    return {
        "openTime": opened,
        "open": 2.0,
        "high": max(close, 3.0),
        "low": 1.0,
        "close": close,
        "volume": 5.0,
        **values,
    }


async def recorded(person: Person, *candles: dict[str, Any], **values: Any) -> tuple[int, ...]:
    payload = (await person.data(RECORD, input={"symbol": "btc", "candles": candles, **values}))["recordCandles"]
    assert payload["userErrors"] == []
    return tuple(payload[name] for name in COUNTS)


async def test_candles_are_inserted_updated_or_unchanged(ann: Person) -> None:
    assert await recorded(ann, candle(2), candle(0), candle(1, marketCap=7.0)) == (3, 0, 0, 0)
    # Without a market cap, the stored one is kept.
    assert await recorded(ann, candle(0), candle(1), candle(2, 2.5), candle(3), interval="H1") == (1, 1, 2, 0)
    found = await ann.data('{ cryptocurrency(symbol: "BTC") { candles { close marketCap source } } }')
    candles = [(one["close"], one["marketCap"], one["source"]) for one in found["cryptocurrency"]["candles"]]
    assert candles == [(2.0, None, "api"), (2.0, 7.0, "api"), (2.5, None, "api"), (2.0, None, "api")]
    assert await recorded(ann, candle(0), source="other") == (0, 1, 0, 0)


async def test_aggregated_candles_contain_recorded_candles_at_once(ann: Person) -> None:
    read = '{ cryptocurrency(symbol: "BTC") { latest { close } candles(interval: D1) { high volume close } } }'
    for close in (2.0, 4.0, 3.5):
        await recorded(ann, candle(0, 9.0), candle(23, close))
        coin = (await ann.data(read))["cryptocurrency"]
        assert coin == {"latest": {"close": close}, "candles": [{"high": 9.0, "volume": 10.0, "close": close}]}


async def test_recorded_candles_settle_predictions(ann: Person) -> None:
    prediction = {
        "symbol": "BTC",
        "predictedAt": START.isoformat(),
        "targetAt": (START + timedelta(hours=2)).isoformat(),
        "predictedPrice": 3.0,
    }
    assert (await ann.data(PREDICT, input={"modelName": "m", "modelVersion": "1", "predictions": [prediction]}))[
        "recordPredictions"
    ]["settled"] == 0
    # A rejected mutation settles no prediction.
    errors = await ann.errors(RECORD, input={"symbol": "BTC", "candles": [candle(1), candle(2, high=0.5)]})
    assert [field for field, _ in errors] == ["candles.1.high"]
    assert (await ann.data(ACTUAL))["predictions"]["nodes"][0]["actual"] is None
    assert await recorded(ann, candle(1)) == (1, 0, 0, 1)
    assert (await ann.data(ACTUAL))["predictions"]["nodes"] == [
        {"status": "SETTLED", "actual": {"price": 2.0, "errorPercent": 50.0}}
    ]
    assert await recorded(ann, candle(1, 3.0)) == (0, 1, 0, 1)
    assert (await ann.data(ACTUAL))["predictions"]["nodes"][0]["actual"] == {"price": 3.0, "errorPercent": 0.0}


HUGE = {"open": 1e308, "high": 1e308, "low": 1e308, "close": 1e308, "volume": 1e308, "marketCap": 1e308}
FUTURE = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT00:00:00Z")
INVALID: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"symbol": "NONE"}, [("symbol", "NOT_FOUND")]),
    ({"interval": "D1"}, [("interval", "WRONG_INTERVAL")]),
    ({"source": " "}, [("source", "INVALID_TEXT")]),
    ({"source": "\0"}, [("source", "INVALID_TEXT")]),
    ({"candles": []}, [("candles", "TOO_MANY_CANDLES")]),
    ({"candles": [candle(0), candle(0)]}, [("candles.1.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, openTime="2026-01-31T00:30:00Z")]}, [("candles.0.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, openTime="2026-01-31T00:00:00.000001Z")]}, [("candles.0.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, openTime=FUTURE)]}, [("candles.0.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, openTime="9999-12-31T23:00:00Z")]}, [("candles.0.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, high=1.5)]}, [("candles.0.open", "INVALID_CANDLE")]),
    ({"candles": [candle(0, high=0.5)]}, [("candles.0.high", "INVALID_CANDLE")]),
    ({"candles": [candle(0, openTime="0001-01-01T00:00:00Z")]}, [("candles.0.openTime", "INVALID_CANDLE")]),
    ({"candles": [candle(0, low=2.5)]}, [("candles.0.open", "INVALID_CANDLE")]),
    ({"candles": [candle(0, volume=-1.0)]}, [("candles.0.volume", "INVALID_CANDLE")]),
    ({"candles": [candle(0, marketCap=-1e308)]}, [("candles.0.marketCap", "INVALID_CANDLE")]),
]


async def test_invalid_inputs_are_rejected_and_nothing_is_written(all_: People) -> None:
    for values, errors in INVALID:
        input_ = {"symbol": "BTC", "candles": [candle(0)], **values}
        assert await all_.ann.errors(RECORD, input=input_) == errors, values
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        error = await person.error(RECORD, input={"symbol": "BTC", "candles": [candle(0)]})
        assert error["extensions"]["code"] == code
    assert (await all_.ann.data('{ cryptocurrency(symbol: "BTC") { latest { close } } }'))["cryptocurrency"] == {
        "latest": None
    }


async def test_extreme_values_are_stored_and_returned(ann: Person) -> None:
    first = candle(0, openTime="0001-01-01T01:00:00Z", **HUGE)
    assert await recorded(ann, first, candle(0, **HUGE), candle(1)) == (3, 0, 0, 0)
    latest = (await ann.data('{ cryptocurrency(symbol: "BTC") { latest { close } } }'))["cryptocurrency"]["latest"]
    assert latest == {"close": 2.0}


async def test_at_most_100_errors_are_returned(ann: Person) -> None:
    wrong = [candle(hour, high=0.5) for hour in range(500)]
    errors = await ann.errors(RECORD, input={"symbol": "BTC", "candles": wrong})
    assert len(errors) == 100


async def test_10_000_candles_are_recorded_in_one_mutation(all_: People) -> None:
    opened = START - timedelta(hours=10_001)
    many = [
        {
            "openTime": (opened + timedelta(hours=hour)).isoformat(),
            **dict.fromkeys(("open", "high", "low", "close"), 65432.123456789),
            "volume": 12345.678901234,
            "marketCap": 1234567890123.4,
        }
        for hour in range(10_001)
    ]
    input_ = {"symbol": "BTC", "candles": many, "idempotencyKey": "k"}
    assert await all_.ann.errors(RECORD, input=input_) == [("candles", "TOO_MANY_CANDLES")]
    input_["candles"] = many[:10_000]
    for _ in range(2):
        payload = (await all_.ann.data(RECORD, input=input_))["recordCandles"]
        assert [payload[name] for name in COUNTS] == [10_000, 0, 0, 0]
    started = time.process_time()
    del input_["idempotencyKey"]
    payload = (await all_.ann.data(RECORD, input=input_))["recordCandles"]
    assert [payload[name] for name in COUNTS] == [0, 0, 10_000, 0]
    # Reading the input blocks the event loop for about 0.3 s, and the client takes as long. The limit is higher,
    # because test machines are busy.
    assert time.process_time() - started < 2
    # A caller without the scope WRITE has a lower limit on the size of the body.
    response = await all_.reader.post("/graphql", json={"query": RECORD, "variables": {"input": input_}})
    assert response.status_code == 413
