"""Idempotency keys: a repeated request is written once and gets the same response."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from tests.graph.mutations.people import People, Person
from tests.graph.mutations.test_alerts import CREATE as ALERT
from tests.graph.mutations.test_alerts import MARK
from tests.graph.mutations.test_predictions import RECORD as PREDICTIONS
from tests.graph.mutations.test_predictions import prediction, predictions_input
from tests.graph.mutations.test_trades import COUNT, RECORD, TRADE
from tests.waiting import eventually

KEYED = {**TRADE, "idempotencyKey": "k"}
REUSED = [("idempotencyKey", "IDEMPOTENCY_KEY_REUSED")]


async def total(person: Person) -> int:
    count: int = (await person.data(COUNT))["trades"]["totalCount"]
    return count


async def test_a_repeated_request_is_written_once_and_gets_the_same_response(ann: Person) -> None:
    answers = [await ann.ask(RECORD, input=KEYED) for _ in range(3)]
    assert answers[0]["data"]["recordTrade"]["trade"]["id"]
    assert answers == [answers[0]] * 3
    # Another selection of the same payload.
    id_ = await ann.data("mutation($i: RecordTradeInput!) { recordTrade(input: $i) { trade { id } } }", i=KEYED)
    assert id_["recordTrade"]["trade"]["id"] == answers[0]["data"]["recordTrade"]["trade"]["id"]
    assert await total(ann) == 1


async def test_keys_work_for_anonymous_callers_in_open_mode(anonymous: Person) -> None:
    answers = await asyncio.gather(*(anonymous.ask(RECORD, input=KEYED) for _ in range(4)))
    assert answers == [answers[0]] * 4
    assert await total(anonymous) == 1


async def test_of_concurrent_requests_one_writes_and_all_get_the_same_response(all_: People) -> None:
    for key in "abc":
        input_ = {**TRADE, "idempotencyKey": key, "timestamp": "now-1h"}
        answers = await asyncio.gather(*(all_.ann.ask(RECORD, input=input_) for _ in range(6)))
        assert answers[0]["data"]["recordTrade"]["userErrors"] == []
        assert answers == [answers[0]] * 6
    assert await total(all_.ann) == 3


async def test_a_relative_time_is_the_same_input_later(ann: Person) -> None:
    input_ = {**KEYED, "timestamp": "now-1h"}
    first = await ann.ask(RECORD, input=input_)
    answered_at = datetime.now(UTC)
    await eventually(lambda: datetime.now(UTC) > answered_at)
    assert await ann.ask(RECORD, input=input_) == first
    input_ = predictions_input(prediction(targetAt="now+2d"), idempotencyKey="days")
    first = await ann.ask(PREDICTIONS, input=input_)
    assert first["data"]["recordPredictions"]["userErrors"] == []
    assert await ann.ask(PREDICTIONS, input=input_) == first


async def test_a_key_with_another_input_or_mutation_is_rejected(ann: Person) -> None:
    assert await ann.errors(RECORD, input=KEYED) == []
    assert await ann.errors(RECORD, input={**KEYED, "quantity": "0.3"}) == REUSED
    assert await ann.errors(ALERT, input={"type": "SYSTEM", "message": "m", "idempotencyKey": "k"}) == REUSED
    assert await total(ann) == 1


async def test_each_user_has_separate_keys(all_: People) -> None:
    ids = set()
    for person in (all_.ann, all_.bob, all_.admin):
        assert await person.errors(RECORD, input={**KEYED, "quantity": str(person.user_id)}) == []
        ids.add(
            (await person.data(RECORD, input={**KEYED, "quantity": str(person.user_id)}))["recordTrade"]["trade"]["id"]
        )
    assert len(ids) == 3
    assert await total(all_.admin) == 3


async def test_a_rejected_mutation_does_not_use_the_key(all_: People) -> None:
    assert await all_.ann.errors(RECORD, input={**KEYED, "symbol": "NONE"}) == [("symbol", "NOT_FOUND")]
    assert await all_.ann.errors(RECORD, input={**KEYED, "signalId": "x"}) == [("signalId", "INVALID_ID")]
    assert await all_.ann.errors(RECORD, input=KEYED) == []
    async with all_.database.transaction() as connection:
        stored = (await connection.execute(text("SELECT actor, key FROM idempotency_keys"))).all()
    assert [tuple(row) for row in stored] == [(all_.ann.user_id, "k")]


MORE: list[tuple[str, dict[str, Any]]] = [
    (
        """mutation($input: AddCryptocurrencyInput!) { addCryptocurrency(input: $input) {
             userErrors { code } cryptocurrency { id } } }""",
        {"symbol": "ADA", "name": "Cardano", "baseInterval": "H1"},
    ),
    (
        """mutation($input: UpdateCryptocurrencyInput!) { updateCryptocurrency(input: $input) {
             userErrors { code } cryptocurrency { id } } }""",
        {"symbol": "BTC", "name": "x"},
    ),
    (
        """mutation($input: RegisterModelInput!) { registerModel(input: $input) {
             userErrors { code } model { id } } }""",
        {"name": "lstm", "version": "1"},
    ),
    (
        """mutation($input: CreateStrategyInput!) { createStrategy(input: $input) {
             userErrors { code } strategy { id } } }""",
        {"name": "s", "parameters": {"a": 1}},
    ),
    (
        """mutation($input: RecordSignalInput!) { recordSignal(input: $input) {
             userErrors { code } signal { id } } }""",
        {"symbol": "BTC", "type": "BUY"},
    ),
    (ALERT, {"type": "SYSTEM", "message": "m"}),
    (MARK, {"before": "now"}),
]


async def test_every_mutation_with_a_key_stores_its_result(ann: Person) -> None:
    for number, (mutation, values) in enumerate(MORE):
        input_ = {**values, "idempotencyKey": f"m{number}"}
        first = await ann.data(mutation, input=input_)
        assert [payload["userErrors"] for payload in first.values()] == [[]]
        assert await ann.data(mutation, input=input_) == first
