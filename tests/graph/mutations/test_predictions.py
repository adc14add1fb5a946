"""recordPredictions."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from tests.graph.mutations.people import People, Person

RECORD = """mutation($input: RecordPredictionsInput!) { recordPredictions(input: $input) {
  userErrors { field message code } settled model { name version predictions { totalCount } }
  predictions { predictedPrice confidence features targetAt status actual { price } cryptocurrency { symbol } }
} }"""
START = datetime(2026, 1, 31, tzinfo=UTC)


def prediction(**values: Any) -> dict[str, Any]:
    return {"symbol": "BTC", "targetAt": "now+1d", "predictedPrice": 5.0, **values}


def predictions_input(*predictions: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"modelName": "m", "modelVersion": "1", "predictions": list(predictions), **values}


async def test_predictions_are_returned_in_the_order_of_the_input(ann: Person) -> None:
    prices = [float(price) for price in range(1_000, 0, -1)]
    many = [prediction(predictedPrice=price, symbol="eth" if price % 3 else "Btc") for price in prices]
    payload = (await ann.data(RECORD, input=predictions_input(*many)))["recordPredictions"]
    assert payload["userErrors"] == []
    assert [one["predictedPrice"] for one in payload["predictions"]] == prices
    assert [one["cryptocurrency"]["symbol"] for one in payload["predictions"][:3]] == ["ETH", "BTC", "ETH"]
    assert payload["model"] == {"name": "m", "version": "1", "predictions": {"totalCount": 1_000}}


async def test_due_predictions_are_settled_at_once(all_: People) -> None:
    async with all_.database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO market_data (cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price,"
                " volume, data_source) VALUES (1, :at, 1, 4, 1, 4, 1, 'test')"
            ),
            {"at": START},
        )
    due = prediction(predictedAt=START.isoformat(), targetAt=(START + timedelta(hours=1)).isoformat(), confidence=0.5)
    later = prediction(features={"a": [1]})
    payload = (await all_.ann.data(RECORD, input=predictions_input(due, later)))["recordPredictions"]
    assert payload["settled"] == 1
    first, second = payload["predictions"]
    assert (first["status"], first["actual"], first["confidence"]) == ("SETTLED", {"price": 4.0}, 0.5)
    assert (second["actual"], second["features"]) == (None, {"a": [1]})


async def test_concurrent_requests_register_a_new_model_once(all_: People) -> None:
    for version in map(str, range(5)):
        requests = [
            person.data(RECORD, input=predictions_input(prediction(), modelVersion=version))
            for person in (all_.ann, all_.bob, all_.admin, all_.ann)
        ]
        for answer in await asyncio.gather(*requests):
            assert answer["recordPredictions"]["userErrors"] == []
    assert (await all_.ann.data("{ models { totalCount } predictions { totalCount } }")) == {
        "models": {"totalCount": 5},
        "predictions": {"totalCount": 20},
    }


INVALID: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"predictions": []}, [("predictions", "TOO_MANY_PREDICTIONS")]),
    ({"predictions": [prediction()] * 1_001}, [("predictions", "TOO_MANY_PREDICTIONS")]),
    ({"modelName": " "}, [("modelName", "INVALID_TEXT")]),
    ({"modelVersion": "v" * 51}, [("modelVersion", "INVALID_TEXT")]),
]
INVALID_PREDICTIONS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"symbol": "NONE"}, [("symbol", "NOT_FOUND")]),
    ({"symbol": "\0"}, [("symbol", "NOT_FOUND")]),
    ({"predictedPrice": -1.0}, [("predictedPrice", "OUT_OF_RANGE")]),
    ({"predictedPrice": 1e308}, [("predictedPrice", "OUT_OF_RANGE")]),
    ({"confidence": 1.5}, [("confidence", "OUT_OF_RANGE")]),
    ({"targetAt": "now-1s"}, [("targetAt", "OUT_OF_RANGE")]),
    ({"targetAt": "9999-12-31T23:59:59.999999Z"}, [("targetAt", "OUT_OF_RANGE")]),
    ({"predictedAt": "0001-01-01T00:00:00Z"}, [("predictedAt", "OUT_OF_RANGE")]),
    ({"features": "x"}, [("features", "INVALID_JSON")]),
]


async def test_invalid_inputs_are_rejected_and_nothing_is_written(all_: People) -> None:
    for values, errors in INVALID:
        assert await all_.ann.errors(RECORD, input=predictions_input(prediction(), **values)) == errors
    for values, errors in INVALID_PREDICTIONS:
        found = await all_.ann.errors(RECORD, input=predictions_input(prediction(), prediction(**values)))
        assert found == [(f"predictions.1.{field}", code) for field, code in errors], values
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        assert (await person.error(RECORD, input=predictions_input(prediction())))["extensions"]["code"] == code
    assert (await all_.ann.data("{ models { totalCount } predictions { totalCount } }")) == {
        "models": {"totalCount": 0},
        "predictions": {"totalCount": 0},
    }
