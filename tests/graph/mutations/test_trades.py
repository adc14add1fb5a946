"""recordTrade and updateTrade."""

import asyncio
from decimal import Decimal

from tests.graph.mutations.people import People, Person

RECORD = """mutation($input: RecordTradeInput!) { recordTrade(input: $input) {
  userErrors { field message code }
  trade { id side price quantity value status isPaper pnl timestamp cryptocurrency { symbol baseInterval }
    signal { id type strategy { name } } }
} }"""
UPDATE = """mutation($input: UpdateTradeInput!) { updateTrade(input: $input) {
  userErrors { field message code } trade { id status pnl cryptocurrency { symbol } }
} }"""
COUNT = "{ trades { totalCount } }"
TRADE = {"symbol": "btc", "side": "BUY", "price": "65000.5", "quantity": "0.2"}


async def recorded(person: Person, **values: object) -> str:
    """The id of a new trade."""
    payload = (await person.data(RECORD, input={**TRADE, **values}))["recordTrade"]
    assert payload["userErrors"] == []
    id_: str = payload["trade"]["id"]
    return id_


async def test_a_trade_is_recorded_and_returned(ann: Person) -> None:
    input_ = {**TRADE, "status": "EXECUTED", "isPaper": False, "pnl": "-1.5", "timestamp": "2026-01-31T12:00:00Z"}
    payload = (await ann.data(RECORD, input=input_))["recordTrade"]
    assert payload["userErrors"] == []
    trade = payload["trade"]
    assert [float(trade[name]) for name in ("price", "quantity", "value", "pnl")] == [65000.5, 0.2, 13000.1, -1.5]
    assert (trade["side"], trade["status"], trade["isPaper"], trade["signal"]) == ("BUY", "EXECUTED", False, None)
    assert trade["timestamp"].startswith("2026-01-31T12:00:00")
    assert trade["cryptocurrency"] == {"symbol": "BTC", "baseInterval": "H1"}
    assert (await ann.data(COUNT))["trades"]["totalCount"] == 1


async def test_a_trade_belongs_to_the_user_who_records_it(all_: People) -> None:
    await recorded(all_.ann)
    counts = [
        (await one.data(COUNT))["trades"]["totalCount"] for one in (all_.ann, all_.bob, all_.admin, all_.anonymous)
    ]
    assert counts == [1, 0, 1, 0]


async def test_anonymous_callers_in_open_mode_share_one_user(anonymous: Person) -> None:
    # The first request creates the user; here five requests are concurrent.
    ids = await asyncio.gather(*(recorded(anonymous) for _ in range(5)))
    assert len(set(ids)) == 5
    assert (await anonymous.data(COUNT))["trades"]["totalCount"] == 5


FITS = ["0.000000000000000001", "99999999999999999999.999999999999999999", "1.00000000000000000000000", "1e19"]


async def test_decimals_are_stored_exactly(ann: Person) -> None:
    for price in FITS:
        trade = (await ann.data(RECORD, input={**TRADE, "price": price}))["recordTrade"]["trade"]
        assert Decimal(trade["price"]) == Decimal(price)


INVALID = [
    ({"symbol": "DOGE"}, [("symbol", "NOT_FOUND")]),
    ({"symbol": "\0"}, [("symbol", "NOT_FOUND")]),
    ({"price": "0", "quantity": "-1"}, [("price", "OUT_OF_RANGE"), ("quantity", "OUT_OF_RANGE")]),
    ({"price": "1e20"}, [("price", "OUT_OF_RANGE")]),
    ({"price": "12345678901.1234567890123456789"}, [("price", "OUT_OF_RANGE")]),
    ({"price": "1e999999999"}, [("price", "OUT_OF_RANGE")]),
    ({"price": "1e-999999999"}, [("price", "OUT_OF_RANGE")]),
    ({"price": "1." + "0" * 20_000}, [("price", "OUT_OF_RANGE")]),
    ({"price": "9" * 100_000}, [("price", "OUT_OF_RANGE")]),
    ({"status": "EXECUTED", "pnl": "0e999999"}, [("pnl", "OUT_OF_RANGE")]),
    ({"status": "FAILED", "pnl": "1"}, [("pnl", "INVALID_STATUS")]),
    ({"pnl": "1"}, [("pnl", "INVALID_STATUS")]),
    ({"signalId": "what"}, [("signalId", "INVALID_ID")]),
    ({"signalId": "VHJhZGU6MQ=="}, [("signalId", "INVALID_ID")]),
    ({"signalId": "U2lnbmFsOjk5OTk="}, [("signalId", "NOT_FOUND")]),
    ({"idempotencyKey": ""}, [("idempotencyKey", "INVALID_TEXT")]),
    ({"idempotencyKey": "\0"}, [("idempotencyKey", "INVALID_TEXT")]),
    ({"idempotencyKey": "k" * 201}, [("idempotencyKey", "INVALID_TEXT")]),
]


async def test_invalid_inputs_are_rejected_and_nothing_is_written(all_: People) -> None:
    for values, errors in INVALID:
        assert await all_.ann.errors(RECORD, input={**TRADE, **values}) == errors, values
    assert (await all_.admin.data(COUNT))["trades"]["totalCount"] == 0


async def test_callers_without_the_scope_write_are_rejected(all_: People) -> None:
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        assert (await person.error(RECORD, input=TRADE))["extensions"]["code"] == code
    assert (await all_.admin.data(COUNT))["trades"]["totalCount"] == 0


STATES = ("PENDING", "EXECUTED", "FAILED")
ALLOWED = {("PENDING", "EXECUTED"), ("PENDING", "FAILED"), *((state, state) for state in STATES)}


async def test_the_state_of_a_trade_changes_once_from_pending(ann: Person) -> None:
    for before in STATES:
        for after in STATES:
            id_ = await recorded(ann, status=before)
            errors = await ann.errors(UPDATE, input={"id": id_, "status": after})
            is_allowed = (before, after) in ALLOWED
            assert errors == ([] if is_allowed else [("status", "INVALID_STATUS")])
            now = (await ann.data("query($id: ID!) { node(id: $id) { ... on Trade { status } } }", id=id_))["node"]
            assert now == {"status": after if is_allowed else before}


async def test_of_concurrent_changes_to_different_states_one_wins(all_: People) -> None:
    for _ in range(5):
        id_ = await recorded(all_.ann)
        states = ["EXECUTED", "FAILED"] * 2
        requests = [all_.ann.data(UPDATE, input={"id": id_, "status": status}) for status in states]
        payloads = [answer["updateTrade"] for answer in await asyncio.gather(*requests)]
        won = {status for status, payload in zip(states, payloads, strict=True) if not payload["userErrors"]}
        assert len(won) == 1
        rejected = [payload for payload in payloads if payload["userErrors"]]
        assert len(rejected) == 2
        assert all(payload["userErrors"][0]["code"] == "INVALID_STATUS" for payload in rejected)
        assert all(payload["trade"] is None for payload in rejected)
        stored = await all_.ann.data("query($id: ID!) { node(id: $id) { ... on Trade { status } } }", id=id_)
        assert {stored["node"]["status"]} == won


async def test_only_an_executed_trade_has_a_profit_or_loss(ann: Person) -> None:
    for status, pnl in (("PENDING", "1"), ("FAILED", "1")):
        id_ = await recorded(ann, status=status)
        assert await ann.errors(UPDATE, input={"id": id_, "pnl": pnl}) == [("pnl", "INVALID_STATUS")]
    id_ = await recorded(ann)
    payload = (await ann.data(UPDATE, input={"id": id_, "status": "EXECUTED", "pnl": "12.5"}))["updateTrade"]
    assert float(payload["trade"]["pnl"]) == 12.5
    # pnl can be set later and corrected; a field that is left out keeps its value.
    assert await ann.errors(UPDATE, input={"id": id_, "pnl": "-3"}) == []
    payload = (await ann.data(UPDATE, input={"id": id_, "status": "EXECUTED"}))["updateTrade"]
    assert float(payload["trade"]["pnl"]) == -3
    assert await ann.errors(UPDATE, input={"id": id_, "pnl": "1e30"}) == [("pnl", "OUT_OF_RANGE")]


async def test_a_trade_of_another_user_is_not_found(all_: People) -> None:
    id_ = await recorded(all_.ann)
    change = {"id": id_, "status": "FAILED"}
    assert await all_.bob.errors(UPDATE, input=change) == [("id", "NOT_FOUND")]
    assert (await all_.reader.error(UPDATE, input=change))["extensions"]["code"] == "FORBIDDEN"
    assert await all_.admin.errors(UPDATE, input=change) == []
    assert await all_.ann.errors(UPDATE, input={"id": "nothing", "status": "FAILED"}) == [("id", "INVALID_ID")]
