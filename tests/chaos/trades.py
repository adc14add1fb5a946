"""Clients that record trades: each goes on, on whatever server, until it has an answer."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import orjson

from tests.soak.client import CONNECTION_ERRORS, Client, Response

RECORD = """mutation Record($input: RecordTradeInput!) { recordTrade(input: $input) {
  userErrors { message code } trade { id quantity } } }"""
# Of a server that is busy, or whose database is: to be asked again.
PASSING = {"DATABASE_UNAVAILABLE", "STATEMENT_TIMEOUT", "CONFLICT", "OVERLOADED", "SHUTTING_DOWN", "RATE_LIMITED"}
PAUSE_SECONDS = 0.02, 0.2


class Refused(Exception):
    """A server has answered what no retry mends."""


class Trades:
    """answered: the id of each trade, by its number. again: how often what was tried in vain, and why."""

    def __init__(self, client: Client, ports: list[int], number: int) -> None:
        self.answered: dict[int, str] = {}
        self.differing: list[int] = []
        self.again = Counter[str]()
        self._client = client
        self._ports = ports
        self._left = iter(range(1, number + 1))

    async def record(self, deadline: float) -> None:
        """Record those that are left, one after the other, beside others who do the same."""
        for number in self._taken():
            self.answered[number] = await self._until_answered(number, deadline)
            # Now and then an answer is lost on its way: whoever asks again is told the same.
            if random.random() < 0.1 and await self._until_answered(number, deadline) != self.answered[number]:
                self.differing.append(number)

    def _taken(self) -> Iterator[int]:
        yield from self._left

    async def _until_answered(self, number: int, deadline: float) -> str:
        while time.monotonic() < deadline:
            try:
                response = await self._client.post(random.choice(self._ports), _sent(number))
            except (*CONNECTION_ERRORS, TimeoutError) as error:
                self.again[type(error).__name__] += 1
            else:
                if (id_ := self._read(response)) is not None:
                    return id_
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        raise TimeoutError(f"Trade {number} has no answer yet.")

    def _read(self, response: Response) -> str | None:
        """The id of the trade; None where it is to be tried again. Raises Refused."""
        answer: dict[str, Any] = orjson.loads(response.body) if response.body.startswith(b"{") else {}
        codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
        if response.status == 503 or (codes and PASSING.issuperset(codes)):
            self.again[codes[0] if codes else str(response.status)] += 1
            return None
        payload = (answer.get("data") or {}).get("recordTrade")
        if payload is None or payload["userErrors"]:
            raise Refused(response.body[:500].decode())
        id_: str = payload["trade"]["id"]
        return id_


def _sent(number: int) -> dict[str, Any]:
    given = {"symbol": "BTC", "side": "BUY", "price": "65000.5", "quantity": str(quantity_of(number))}
    return {"query": RECORD, "variables": {"input": {**given, "idempotencyKey": f"chaos-{number}"}}}


def quantity_of(number: int) -> Decimal:
    """What tells a trade from all others, in the table."""
    return Decimal(number).scaleb(-6)
