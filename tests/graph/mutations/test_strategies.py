"""createStrategy, updateStrategy and recordSignal."""

from typing import Any

from tests.graph.mutations.people import People, Person

CREATE = """mutation($input: CreateStrategyInput!) { createStrategy(input: $input) {
  userErrors { field message code }
  strategy { id name description parameters isActive signals { nodes { id } } trades { totalCount } }
} }"""
UPDATE = CREATE.replace("CreateStrategy", "UpdateStrategy").replace("createStrategy", "updateStrategy")
SIGNAL = """mutation($input: RecordSignalInput!) { recordSignal(input: $input) {
  userErrors { field message code }
  signal { id type confidence timestamp extra cryptocurrency { symbol } strategy { name signals { totalCount } }
    model { name version } prediction { id predictedPrice } }
} }"""
PREDICTION = """mutation($input: RecordPredictionsInput!) { recordPredictions(input: $input) {
  predictions { id } } }"""
TRADE = """mutation($input: RecordTradeInput!) { recordTrade(input: $input) {
  userErrors { field message code } trade { id signal { strategy { name } } } } }"""
BUY: dict[str, Any] = {"symbol": "BTC", "type": "BUY"}


async def created(person: Person, **values: Any) -> str:
    payload = (await person.data(CREATE, input={"name": "first", **values}))["createStrategy"]
    assert payload["userErrors"] == []
    id_: str = payload["strategy"]["id"]
    return id_


async def predicted(person: Person) -> str:
    one = {"symbol": "BTC", "targetAt": "now+1d", "predictedPrice": 5.0}
    input_ = {"modelName": "m", "modelVersion": "1", "predictions": [one]}
    id_: str = (await person.data(PREDICTION, input=input_))["recordPredictions"]["predictions"][0]["id"]
    return id_


async def test_a_strategy_is_created_and_changed(all_: People) -> None:
    ann = all_.ann
    id_ = await created(ann, description="d", parameters={"fast": 3, "deep": {"a": [1.5]}})
    payload = (await ann.data(UPDATE, input={"id": id_, "description": None, "isActive": False}))["updateStrategy"]
    assert payload["strategy"] == {
        "id": id_,
        "name": "first",
        "description": None,
        "parameters": {"fast": 3, "deep": {"a": [1.5]}},
        "isActive": False,
        "signals": {"nodes": []},
        "trades": {"totalCount": 0},
    }
    assert await ann.errors(UPDATE, input={"id": id_, "parameters": {}, "name": "other"}) == []
    # Names are unique for each user only.
    await created(all_.bob, name="other")
    assert (await ann.data("{ strategies { nodes { name parameters } } }"))["strategies"]["nodes"] == [
        {"name": "other", "parameters": {}}
    ]


async def test_invalid_strategies_are_rejected(all_: People) -> None:
    ann = all_.ann
    id_, _ = await created(ann), await created(ann, name="second")
    invalid: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
        (CREATE, {"name": "first"}, [("name", "ALREADY_EXISTS")]),
        (CREATE, {"name": ""}, [("name", "INVALID_TEXT")]),
        (CREATE, {"name": "x", "description": "d" * 10_001}, [("description", "INVALID_TEXT")]),
        (CREATE, {"name": "x", "parameters": []}, [("parameters", "INVALID_JSON")]),
        (CREATE, {"name": "x", "parameters": False}, [("parameters", "INVALID_JSON")]),
        (UPDATE, {"id": id_, "name": "second"}, [("name", "ALREADY_EXISTS")]),
        (
            UPDATE,
            {"id": id_, "name": None, "parameters": None},
            [("name", "INVALID_NULL"), ("parameters", "INVALID_NULL")],
        ),
        (UPDATE, {"id": id_, "parameters": 5}, [("parameters", "INVALID_JSON")]),
        (UPDATE, {"id": "U3RyYXRlZ3k6OTk5", "name": "x"}, [("id", "NOT_FOUND")]),
        (UPDATE, {"id": "", "name": "x"}, [("id", "INVALID_ID")]),
    ]
    for mutation, input_, errors in invalid:
        assert await ann.errors(mutation, input=input_) == errors, input_
    assert await all_.bob.errors(UPDATE, input={"id": id_, "name": "mine"}) == [("id", "NOT_FOUND")]
    assert (await all_.anonymous.error(CREATE, input={"name": "x"}))["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await all_.reader.error(UPDATE, input={"id": id_}))["extensions"]["code"] == "FORBIDDEN"
    names = [
        node["name"] for node in (await all_.admin.data("{ strategies { nodes { name } } }"))["strategies"]["nodes"]
    ]
    assert names == ["first", "second"]


async def test_a_signal_is_recorded_with_its_strategy_model_and_prediction(all_: People) -> None:
    ann = all_.ann
    strategy_id, prediction_id = await created(ann), await predicted(ann)
    input_ = {**BUY, "strategyId": strategy_id, "predictionId": prediction_id, "confidence": 0.75, "extra": {"a": 1}}
    payload = (await ann.data(SIGNAL, input=input_))["recordSignal"]
    assert payload["userErrors"] == []
    signal = payload["signal"]
    assert (signal["type"], signal["confidence"], signal["extra"]) == ("BUY", 0.75, {"a": 1})
    assert signal["strategy"] == {"name": "first", "signals": {"totalCount": 1}}
    assert signal["model"] == {"name": "m", "version": "1"}
    assert signal["prediction"] == {"id": prediction_id, "predictedPrice": 5.0}
    trade = {"symbol": "BTC", "side": "BUY", "price": "1", "quantity": "1", "signalId": signal["id"]}
    payload = (await ann.data(TRADE, input=trade))["recordTrade"]
    assert payload["trade"]["signal"] == {"strategy": {"name": "first"}}
    # A trade cannot be based on a signal of another user, or for another coin.
    assert await all_.bob.errors(TRADE, input=trade) == [("signalId", "NOT_FOUND")]
    assert await ann.errors(TRADE, input={**trade, "symbol": "ETH"}) == [("signalId", "MISMATCH")]


async def test_a_signal_that_an_administrator_records_belongs_to_the_user_of_the_strategy(all_: People) -> None:
    strategy_id = await created(all_.ann)
    assert await all_.admin.errors(SIGNAL, input={**BUY, "strategyId": strategy_id}) == []
    count = "{ signals { totalCount } }"
    assert (await all_.ann.data(count))["signals"]["totalCount"] == 1
    assert (await all_.bob.data(count))["signals"]["totalCount"] == 0


async def test_invalid_signals_are_rejected(all_: People) -> None:
    ann = all_.ann
    strategy_id, prediction_id = await created(all_.bob), await predicted(ann)
    invalid: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"symbol": "NONE"}, [("symbol", "NOT_FOUND")]),
        ({"strategyId": strategy_id}, [("strategyId", "NOT_FOUND")]),
        ({"strategyId": prediction_id}, [("strategyId", "INVALID_ID")]),
        ({"predictionId": strategy_id}, [("predictionId", "INVALID_ID")]),
        ({"predictionId": "UHJlZGljdGlvbjo5OTk5"}, [("predictionId", "NOT_FOUND")]),
        ({"symbol": "ETH", "predictionId": prediction_id}, [("predictionId", "MISMATCH")]),
        ({"modelName": "m"}, [("modelName", "MISMATCH")]),
        ({"modelVersion": "1"}, [("modelName", "MISMATCH")]),
        ({"modelName": "m", "modelVersion": "2"}, [("modelName", "NOT_FOUND")]),
        ({"modelName": "\0", "modelVersion": "1"}, [("modelName", "NOT_FOUND")]),
        ({"confidence": 1e308}, [("confidence", "OUT_OF_RANGE")]),
        ({"extra": [{}]}, [("extra", "INVALID_JSON")]),
    ]
    for values, errors in invalid:
        assert await ann.errors(SIGNAL, input={**BUY, **values}) == errors, values
    assert (await all_.anonymous.error(SIGNAL, input=BUY))["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await all_.reader.error(SIGNAL, input=BUY))["extensions"]["code"] == "FORBIDDEN"
    assert (await all_.admin.data("{ signals { totalCount } }"))["signals"]["totalCount"] == 0


async def test_anonymous_callers_in_open_mode_write_strategies_and_signals(anonymous: Person) -> None:
    id_ = await created(anonymous)
    assert await anonymous.errors(SIGNAL, input={**BUY, "strategyId": id_}) == []
    assert await anonymous.errors(UPDATE, input={"id": id_, "name": "x"}) == []
