"""Mutations that lock the same rows: all succeed in the end."""

import asyncio

from sqlalchemy import text

from db.engine import Connection
from tests.graph.mutations.people import People
from tests.graph.mutations.test_alerts import MARK, created
from tests.waiting import eventually

LOCK = "SELECT FROM alerts WHERE message = :message FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_mutations_that_mark_the_same_alerts_in_another_order_do_not_deadlock(all_: People) -> None:
    ids = [await created(all_.ann, f"{number}") for number in range(30)]
    for _ in range(5):
        async with all_.database.transaction() as connection:
            await connection.execute(text("UPDATE alerts SET is_read = false"))
        requests = [all_.ann.data(MARK, input={"ids": order}) for order in (ids, ids[::-1]) * 2]
        payloads = [answer["markAlertsRead"] for answer in await asyncio.gather(*requests)]
        assert [payload["userErrors"] for payload in payloads] == [[]] * 4
        assert sum(payload["marked"] for payload in payloads) == 30


async def test_a_mutation_that_is_cancelled_by_a_deadlock_is_rerun(all_: People) -> None:
    first, second = await created(all_.ann, "first"), await created(all_.ann, "second")
    async with all_.database.transaction() as connection:
        await connection.execute(text(LOCK), {"message": "second"})
        input_ = {"ids": [first, second], "idempotencyKey": "k"}
        marking = asyncio.create_task(all_.ann.data(MARK, input=input_))
        await _wait_for_lock(connection)
        # The mutation waited first, so PostgreSQL cancels it and not this transaction.
        await connection.execute(text(LOCK), {"message": "first"})
    payload = (await marking)["markAlertsRead"]
    assert payload["userErrors"] == []
    assert payload["marked"] == 2
    assert (await all_.ann.data(MARK, input=input_))["markAlertsRead"] == payload


async def _wait_for_lock(connection: Connection) -> None:
    async def is_waiting() -> bool:
        return bool((await connection.execute(text(WAITING))).scalar_one())

    await eventually(is_waiting)
