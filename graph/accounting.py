"""Checks the cost of operations before they run, refunds what they did not need, and reports their cost."""

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
from graph.metering import CACHED_POINTS, Meter
from graph.response import Answer, ReportedCost, detached


class Charge(NamedTuple):
    """The points that were charged for an operation. level: the remaining points; None if the caller is not limited."""

    caller: Caller
    cost: Cost
    values: Values
    requested: float
    level: Level | None


def checked_cost(cost: Cost, values: Values, limit: float) -> float:
    """The most that an operation may cost, in points. Raises DocumentRejected over the limit."""
    requested = cost.requested(values)
    if requested > limit:
        raise DocumentRejected("QUERY_TOO_EXPENSIVE", [too_expensive(cost, values, limit)])
    return requested


def refund_unused(meter: Meter, charge: Charge, answer: Answer, reported_limit: float | None) -> Answer:
    """Refund the points that the answer did not need. Returns the answer with the remaining points and its cost.

    reported_limit: for one operation; None if the client did not request the cost.
    """
    unused = max(0.0, charge.requested - _actual(charge, answer))
    meter.refund(charge.caller, unused)
    answer = answer._replace(level=charge.level and charge.level.with_more(unused))
    if reported_limit is None:
        return answer
    cost = ReportedCost(charge.requested, charge.requested - unused, reported_limit)
    return detached(answer)._replace(cost=cost)


def too_expensive(cost: Cost, values: Values, limit: float) -> GraphQLError:
    """The error of an operation that may cost more than the limit, with arguments that would fit."""
    requested, fits = cost.requested(values), cost.suggestions(values, limit)
    shown = f"{requested:,.0f}" if requested < math.inf else "too many"
    message = f"This may cost {shown} points, and {limit:,.0f} are allowed."
    if fits:
        advice = "; ".join(f"{fit.argument}: {fit.value} for {'.'.join(fit.path)}" for fit in fits)
        message = f"{message} These arguments would fit: {advice}."
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
