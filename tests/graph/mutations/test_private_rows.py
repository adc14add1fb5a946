"""Strategies, signals, trades and alerts: what is one's own."""

import asyncio

import pytest
from sqlalchemy import URL

from graph.identity.scopes import Scope
from tests.application import Client
from tests.graph.mutations.asking import attempt, mutate, new_name, refused, scalar, signed_in

TRADE = {"symbol": "btc", "side": "BUY", "price": "100.5", "quantity": "2"}


async def strategy_of(client: Client) -> str:
    made = await mutate(client, "createStrategy", "strategy { id }", name=new_name())
    id_: str = made["strategy"]["id"]
    return id_


async def trade_of(client: Client, **given: object) -> str:
    made = await mutate(client, "recordTrade", "trade { id }", **(TRADE | given))
    id_: str = made["trade"]["id"]
    return id_


async def test_a_strategy_and_what_follows_from_it(alice: Client) -> None:
    name = new_name()
    made = await mutate(
        alice,
        "createStrategy",
        "strategy { id name description parameters isActive signals { totalCount } }",
        name=name,
        parameters={"threshold": 0.5},
    )
    strategy = made["strategy"]
    assert strategy == {
        "id": strategy["id"],
        "name": name,
        "description": None,
        "parameters": {"threshold": 0.5},
        "isActive": True,
        "signals": {"totalCount": 0},
    }
    made = await mutate(
        alice,
        "recordSignal",
        "signal { id strategy { name } cryptocurrency { symbol } confidence extra }",
        symbol="btc",
        type="BUY",
        strategyId=strategy["id"],
        confidence=0.5,
        extra={"why": ["because"]},
    )
    signal = made["signal"]
    assert (signal["strategy"], signal["cryptocurrency"]) == ({"name": name}, {"symbol": "BTC"})
    made = await mutate(
        alice,
        "recordTrade",
        "trade { value status isPaper signal { strategy { name trades { totalCount } } } }",
        **TRADE,
        signalId=signal["id"],
    )
    assert made["trade"] == {
        "value": "201",
        "status": "PENDING",
        "isPaper": True,
        "signal": {"strategy": {"name": name, "trades": {"totalCount": 1}}},
    }
    changed = await mutate(
        alice, "updateStrategy", "strategy { name description isActive }", id=strategy["id"], isActive=False
    )
    assert changed["strategy"] == {"name": name, "description": None, "isActive": False}


async def test_what_another_has_does_not_exist(alice: Client, bob: Client, written_url: URL) -> None:
    strategy, trade = await strategy_of(alice), await trade_of(alice)
    signal = (await mutate(alice, "recordSignal", "signal { id }", symbol="BTC", type="HOLD"))["signal"]["id"]
    alert = (await mutate(alice, "createAlert", "alert { id }", type="SYSTEM", message="x"))["alert"]["id"]
    assert await refused(bob, "updateStrategy", id=strategy, name="x") == [("NOT_FOUND", "id")]
    assert await refused(bob, "recordSignal", symbol="BTC", type="BUY", strategyId=strategy) == [
        ("NOT_FOUND", "strategyId")
    ]
    assert await refused(bob, "recordTrade", **TRADE, signalId=signal) == [("NOT_FOUND", "signalId")]
    assert await refused(bob, "updateTrade", id=trade, status="EXECUTED") == [("NOT_FOUND", "id")]
    assert await refused(bob, "markAlertsRead", ids=[alert]) == [("NOT_FOUND", "ids.0")]
    async with signed_in(written_url, Scope.ADMIN) as root:
        made = await mutate(root, "recordSignal", "signal { id }", symbol="BTC", type="BUY", strategyId=strategy)
    assert (await alice.data("query($id: ID!) { node(id: $id) { id } }", id=made["signal"]["id"]))["node"]


REFUSED = [
    ("createStrategy", {"name": " "}, ("INVALID_TEXT", "name")),
    ("createStrategy", {"name": "x" * 101}, ("INVALID_TEXT", "name")),
    ("createStrategy", {"name": "\0"}, ("INVALID_TEXT", "name")),
    ("createStrategy", {"name": "x", "parameters": [1]}, ("INVALID_JSON", "parameters")),
    ("createStrategy", {"name": "x", "parameters": {"a": "\0"}}, ("INVALID_JSON", "parameters")),
    ("createStrategy", {"name": "x", "parameters": {"a": "x" * 70_000}}, ("INVALID_JSON", "parameters")),
    ("updateStrategy", {"id": "x"}, ("INVALID_ID", "id")),
    ("updateStrategy", {"id": "U3RyYXRlZ3k6MQ==", "name": None}, ("INVALID_NULL", "name")),
    ("recordSignal", {"symbol": "NONE", "type": "BUY"}, ("NOT_FOUND", "symbol")),
    ("recordSignal", {"symbol": "BTC", "type": "BUY", "confidence": 1.5}, ("OUT_OF_RANGE", "confidence")),
    ("recordSignal", {"symbol": "BTC", "type": "BUY", "modelName": "naive"}, ("MISMATCH", "modelName")),
    ("recordSignal", {"symbol": "BTC", "type": "BUY", "predictionId": "VHJhZGU6MQ=="}, ("INVALID_ID", "predictionId")),
    ("recordTrade", {**TRADE, "price": "0"}, ("OUT_OF_RANGE", "price")),
    ("recordTrade", {**TRADE, "price": "1e30"}, ("OUT_OF_RANGE", "price")),
    ("recordTrade", {**TRADE, "quantity": "0.0000000000000000001"}, ("OUT_OF_RANGE", "quantity")),
    ("recordTrade", {**TRADE, "pnl": "5"}, ("INVALID_STATUS", "pnl")),
    ("createAlert", {"type": "SYSTEM", "message": ""}, ("INVALID_TEXT", "message")),
    ("createAlert", {"type": "SYSTEM", "message": "x", "forEveryone": True}, ("FORBIDDEN", "forEveryone")),
    ("markAlertsRead", {}, ("MISMATCH", "ids")),
    ("markAlertsRead", {"ids": []}, ("TOO_MANY_IDS", "ids")),
]


@pytest.mark.parametrize(("name", "given", "told"), REFUSED, ids=[f"{name} {told}" for name, _, told in REFUSED])
async def test_what_can_be_mended_is_told(
    alice: Client, name: str, given: dict[str, object], told: tuple[str, str]
) -> None:
    assert await refused(alice, name, **given) == [told]


async def test_a_name_is_taken_once(alice: Client, bob: Client) -> None:
    name = new_name()
    await mutate(alice, "createStrategy", "", name=name)
    assert await refused(alice, "createStrategy", name=name) == [("ALREADY_EXISTS", "name")]
    await mutate(bob, "createStrategy", "", name=name)
    other = await strategy_of(alice)
    assert await refused(alice, "updateStrategy", id=other, name=name) == [("ALREADY_EXISTS", "name")]


@pytest.mark.parametrize("before", ["PENDING", "EXECUTED", "FAILED"])
@pytest.mark.parametrize("after", ["PENDING", "EXECUTED", "FAILED"])
async def test_a_trade_is_decided_once(alice: Client, before: str, after: str) -> None:
    trade = await trade_of(alice, status=before)
    payload = await attempt(alice, "updateTrade", "trade { status }", id=trade, status=after)
    if after == before or (before == "PENDING" and after != "PENDING"):
        assert payload == {"trade": {"status": after}, "userErrors": []}
    else:
        assert [error["code"] for error in payload["userErrors"]] == ["INVALID_STATUS"]


async def test_of_two_who_decide_one_does(alice: Client) -> None:
    trade = await trade_of(alice)
    payloads = await asyncio.gather(
        *(attempt(alice, "updateTrade", "", id=trade, status=status) for status in ("EXECUTED", "FAILED"))
    )
    assert sorted(len(payload["userErrors"]) for payload in payloads) == [0, 1]


async def test_what_a_trade_earned(alice: Client) -> None:
    trade = await trade_of(alice)
    assert await refused(alice, "updateTrade", id=trade, pnl="1") == [("INVALID_STATUS", "pnl")]
    changed = await mutate(alice, "updateTrade", "trade { pnl status }", id=trade, status="EXECUTED", pnl="-1.50")
    assert changed["trade"] == {"pnl": "-1.5", "status": "EXECUTED"}


async def test_alerts_are_read(alice: Client, bob: Client, written_url: URL) -> None:
    ids = [
        (await mutate(alice, "createAlert", "alert { id }", type="TRADE", message=text))["alert"]["id"]
        for text in ("one", "two", "three")
    ]
    marked = await mutate(alice, "markAlertsRead", "marked alerts { message isRead }", ids=ids[:2])
    assert marked == {
        "marked": 2,
        "alerts": [{"message": "one", "isRead": True}, {"message": "two", "isRead": True}],
    }
    assert (await mutate(alice, "markAlertsRead", "marked", ids=ids[:2]))["marked"] == 0
    assert (await mutate(bob, "markAlertsRead", "marked", before="now"))["marked"] == 0
    assert (await mutate(alice, "markAlertsRead", "marked", before="now"))["marked"] == 1
    async with signed_in(written_url, Scope.ADMIN) as root:
        everyones = await mutate(root, "createAlert", "alert { id }", type="SYSTEM", message="x", forEveryone=True)
    id_ = everyones["alert"]["id"]
    assert (await bob.data("query($id: ID!) { node(id: $id) { id } }", id=id_))["node"]
    assert await refused(bob, "markAlertsRead", ids=[id_]) == [("NOT_FOUND", "ids.0")]


async def test_who_may_not_write(written_url: URL) -> None:
    query = 'mutation { createStrategy(input: { name: "x" }) { strategy { id } } }'
    async with signed_in(written_url, Scope.READ) as reader:
        assert (await reader.error(query))["extensions"]["code"] == "FORBIDDEN"
        del reader.headers["authorization"]
        assert (await reader.error(query))["extensions"]["code"] == "UNAUTHENTICATED"
    assert await scalar(written_url, "SELECT count(*) FROM trading_strategies WHERE name = 'x'") == 0


async def test_where_nobody_signs_in_things_belong_to_a_user_made_for_it(open_client: Client, written_url: URL) -> None:
    trade = await trade_of(open_client)
    assert (await open_client.data("query($id: ID!) { node(id: $id) { id } }", id=trade))["node"] == {"id": trade}
    owner = "SELECT username FROM users WHERE user_id = (SELECT user_id FROM trades ORDER BY trade_id DESC LIMIT 1)"
    assert await scalar(written_url, owner) == "local"
