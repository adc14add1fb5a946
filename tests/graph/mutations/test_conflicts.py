"""Mutations that are in the way of others: each is written in the end."""

import asyncio

import pytest
from sqlalchemy import text

from db import errors
from db.engine import Connection
from tests.graph.mutations.people import People
from tests.graph.mutations.test_alerts import MARK, created

LOCK = "SELECT FROM alerts WHERE message = :message FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_two_who_mark_the_same_in_another_order_do_not_wait_for_each_other(all_: People) -> None:
    ids = [await created(all_.ann, f"{number}") for number in range(30)]
    for _ in range(5):
        async with all_.database.transaction() as connection:
            await connection.execute(text("UPDATE alerts SET is_read = false"))
        asked = [all_.ann.data(MARK, input={"ids": order}) for order in (ids, ids[::-1]) * 2]
        payloads = [answer["markAlertsRead"] for answer in await asyncio.gather(*asked)]
        assert [payload["userErrors"] for payload in payloads] == [[]] * 4
        assert sum(payload["marked"] for payload in payloads) == 30


@pytest.mark.skipif(not hasattr(errors, "Conflict"), reason="nothing is run again yet")
async def test_a_mutation_that_is_cancelled_in_a_deadlock_is_run_again(all_: People) -> None:
    first, second = await created(all_.ann, "first"), await created(all_.ann, "second")
    async with all_.database.transaction() as connection:
        await connection.execute(text(LOCK), {"message": "second"})
        asked = {"ids": [first, second], "idempotencyKey": "k"}
        marking = asyncio.create_task(all_.ann.data(MARK, input=asked))
        await _until_one_waits(connection)
        # It waited first, so it is the one to be cancelled.
        await connection.execute(text(LOCK), {"message": "first"})
    payload = (await marking)["markAlertsRead"]
    assert payload["userErrors"] == []
    assert payload["marked"] == 2
    assert (await all_.ann.data(MARK, input=asked))["markAlertsRead"] == payload


async def _until_one_waits(connection: Connection) -> None:
    for _ in range(500):
        if (await connection.execute(text(WAITING))).scalar_one():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("Nobody waits.")
