"""Charges operations before they run, refunds what they did not need, and reports their cost."""

import math
from typing import NamedTuple

import orjson
from graphql import GraphQLError

from cache.answers import Source
from cache.buckets import Level
from graph.compiler.cost import Cost
from graph.compiler.deferred import Values
from graph.documents import DocumentRejected
from graph.identity.callers import Caller
from graph.metering import CACHED_POINTS, REJECTED_POINTS, Meter
from graph.response import Answer, ReportedCost, detached


class Charge(NamedTuple):
    """The points that were charged for an operation. level: what is left; None if the caller is not limited."""

    caller: Caller
    cost: Cost
    values: Values
    requested: float
    level: Level | None


class Accounting:
    """Charges callers for operations, each of which may cost so many points at most."""

    def __init__(self, meter: Meter, max_cost: float) -> None:
        self._meter = meter
        self._max_cost = max_cost

    async def charge(self, caller: Caller, cost: Cost, values: Values) -> Charge:
        """Charge the most that an operation may cost. Raises DocumentRejected over the limit, and RateLimited."""
        requested = cost.requested(values)
        if requested > self._max_cost:
            raise DocumentRejected("QUERY_TOO_EXPENSIVE", [too_expensive(cost, values, self._max_cost)])
        return Charge(caller, cost, values, requested, await self._meter.charge(caller, requested))

    async def charge_rejected(self, caller: Caller) -> Level | None:
        """Charge a request whose operation is rejected; returns what is left. Raises RateLimited."""
        return await self._meter.charge(caller, REJECTED_POINTS)

    def settle(self, charge: Charge, answer: Answer, *, reports_cost: bool) -> Answer:
        """Refund the points that the answer did not need; returns it with what is left, and its cost if wanted."""
        if charge.level is None and not reports_cost:
            return answer
        unused = max(0.0, charge.requested - _actual(charge, answer))
        self._meter.refund(charge.caller, unused)
        answer = answer._replace(level=charge.level and charge.level.with_more(unused))
        if not reports_cost:
            return answer
        return detached(answer)._replace(cost=ReportedCost(charge.requested, charge.requested - unused, self._max_cost))


def too_expensive(cost: Cost, values: Values, limit: float) -> GraphQLError:
    """The error of an operation that may cost more than the limit, with arguments that would fit."""
    requested, fits = cost.requested(values), cost.what_fits(values, limit)
    shown = f"{requested:,.0f}" if requested < math.inf else "too many"
    message = f"This may cost {shown} points, and {limit:,.0f} are allowed."
    if fits:
        advice = "; ".join(f"{fit.argument}: {fit.value} for {'.'.join(fit.path)}" for fit in fits)
        message = f"{message} What would fit: {advice}."
    details = {"cost": requested, "limit": limit, "fits": [fit._asdict() for fit in fits]}
    return GraphQLError(message, extensions={"code": "QUERY_TOO_EXPENSIVE", **details})


def _actual(charge: Charge, answer: Answer) -> float:
    """The points that an answer has cost. With errors it is all of them: what ran before an error is unknown."""
    if answer.source in (Source.MEMORY, Source.REDIS):
        return CACHED_POINTS
    data = detached(answer).data
    if answer.errors or data is None:
        return charge.requested
    return charge.cost.actual(orjson.loads(b"".join(data)), charge.values)
