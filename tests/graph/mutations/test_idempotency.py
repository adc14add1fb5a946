"""Idempotency keys: what is sent again is written once, and answered alike."""

import asyncio
from typing import Any

from sqlalchemy import text

from tests.graph.mutations.people import People, Person
from tests.graph.mutations.test_alerts import CREATE as ALERT
from tests.graph.mutations.test_alerts import MARK
from tests.graph.mutations.test_predictions import RECORD as PREDICTIONS
from tests.graph.mutations.test_predictions import given as of_model
from tests.graph.mutations.test_predictions import prediction
from tests.graph.mutations.test_trades import COUNT, RECORD, TRADE

KEYED = {**TRADE, "idempotencyKey": "k"}
REUSED = [("idempotencyKey", "IDEMPOTENCY_KEY_REUSED")]


async def total(person: Person) -> int:
    count: int = (await person.data(COUNT))["trades"]["totalCount"]
    return count


async def test_the_same_again_is_answered_alike_and_written_once(ann: Person) -> None:
    answers = [await ann.ask(RECORD, input=KEYED) for _ in range(3)]
    assert answers[0]["data"]["recordTrade"]["trade"]["id"]
    assert answers == [answers[0]] * 3
    # Another selection of the same payload.
    id_ = await ann.data("mutation($i: RecordTradeInput!) { recordTrade(input: $i) { trade { id } } }", i=KEYED)
    assert id_["recordTrade"]["trade"]["id"] == answers[0]["data"]["recordTrade"]["trade"]["id"]
    assert await total(ann) == 1


async def test_where_nobody_signs_in_as_well(anybody: Person) -> None:
    answers = await asyncio.gather(*(anybody.ask(RECORD, input=KEYED) for _ in range(4)))
    assert answers == [answers[0]] * 4
    assert await total(anybody) == 1


async def test_of_several_at_once_one_writes_and_all_are_answered_alike(all_: People) -> None:
    for key in "abc":
        given = {**TRADE, "idempotencyKey": key, "timestamp": "now-1h"}
        answers = await asyncio.gather(*(all_.ann.ask(RECORD, input=given) for _ in range(6)))
        assert answers[0]["data"]["recordTrade"]["userErrors"] == []
        assert answers == [answers[0]] * 6
    assert await total(all_.ann) == 3


async def test_a_time_that_is_relative_to_now_is_the_same_later(ann: Person) -> None:
    given = {**KEYED, "timestamp": "now-1h"}
    first = await ann.ask(RECORD, input=given)
    await asyncio.sleep(0.01)
    assert await ann.ask(RECORD, input=given) == first
    of_days = of_model(prediction(targetAt="now+2d"), idempotencyKey="days")
    first = await ann.ask(PREDICTIONS, input=of_days)
    assert first["data"]["recordPredictions"]["userErrors"] == []
    assert await ann.ask(PREDICTIONS, input=of_days) == first


async def test_another_input_or_another_mutation_is_refused(ann: Person) -> None:
    assert await ann.errors(RECORD, input=KEYED) == []
    assert await ann.errors(RECORD, input={**KEYED, "quantity": "0.3"}) == REUSED
    assert await ann.errors(ALERT, input={"type": "SYSTEM", "message": "m", "idempotencyKey": "k"}) == REUSED
    assert await total(ann) == 1


async def test_keys_are_each_users_own(all_: People) -> None:
    ids = set()
    for person in (all_.ann, all_.bob, all_.admin):
        assert await person.errors(RECORD, input={**KEYED, "quantity": str(person.user_id)}) == []
        ids.add(
            (await person.data(RECORD, input={**KEYED, "quantity": str(person.user_id)}))["recordTrade"]["trade"]["id"]
        )
    assert len(ids) == 3
    assert await total(all_.admin) == 3


async def test_what_failed_leaves_the_key_free(all_: People) -> None:
    assert await all_.ann.errors(RECORD, input={**KEYED, "symbol": "NONE"}) == [("symbol", "NOT_FOUND")]
    assert await all_.ann.errors(RECORD, input={**KEYED, "signalId": "x"}) == [("signalId", "INVALID_ID")]
    assert await all_.ann.errors(RECORD, input=KEYED) == []
    async with all_.database.transaction() as connection:
        kept = (await connection.execute(text("SELECT actor, key FROM idempotency_keys"))).all()
    assert [tuple(row) for row in kept] == [(all_.ann.user_id, "k")]


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


async def test_every_mutation_that_takes_a_key_keeps_its_answer(ann: Person) -> None:
    for number, (mutation, values) in enumerate(MORE):
        given = {**values, "idempotencyKey": f"m{number}"}
        first = await ann.data(mutation, input=given)
        assert [payload["userErrors"] for payload in first.values()] == [[]]
        assert await ann.data(mutation, input=given) == first
