"""What operations cost, told to those who sent them."""

import math

import orjson
from graphql import GraphQLError

from graph.compiler.cost import Cost
from graph.compiler.deferred import Values


def too_expensive(cost: Cost, values: Values, limit: float) -> GraphQLError:
    """The refusal of an operation that may cost more than the limit: it tells what would fit."""
    requested, fits = cost.requested(values), cost.suggestions(values, limit)
    shown = f"{requested:,.0f}" if requested < math.inf else "too many"
    message = f"This may cost {shown} points, and {limit:,.0f} are allowed."
    if fits:
        advice = "; ".join(f"{fit.argument}: {fit.value} for {'.'.join(fit.path)}" for fit in fits)
        message = f"{message} What would fit: {advice}."
    details = {"cost": requested, "limit": limit, "fits": [fit._asdict() for fit in fits]}
    return GraphQLError(message, extensions={"code": "QUERY_TOO_EXPENSIVE", **details})


def actual_cost(cost: Cost, body: bytes, values: Values, requested: float) -> float:
    """What an answer, as it is sent, has cost. One with errors has cost all: nobody knows what ran before them."""
    answer = orjson.loads(body)
    return requested if "errors" in answer else cost.actual(answer["data"], values)


def with_cost(body: bytes, requested: float, actual: float, limit: float) -> bytes:
    """The answer, which tells of its cost in extensions."""
    told = orjson.dumps({"extensions": {"cost": {"requested": requested, "actual": actual, "limit": limit}}})
    return b"".join([body[:-1], b",", told[1:]])
