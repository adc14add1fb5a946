"""Explains how a query is answered: its statement, what its answer depends on, and what it costs. Runs nothing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphql import GraphQLError
from strawberry import Schema

from db.row_security import viewer_setting
from graph.cache_keys import cached_query, lifetime_seconds
from graph.compiler.statement import TooLarge
from graph.context import Context
from graph.documents import DocumentRejected, read_operation
from graph.errors import MAX_ERRORS, SELECTS_TOO_MUCH
from graph.graphql_core_compat import graphql_schema
from graph.plan_cache import EXPECTED, VIEWER, Planner, cause_of
from graph.request import GraphQLRequest


class NoPlan(Exception):
    """The operation has no plan: the executor answers it, or rejects it. The message says why."""


class Explanation(NamedTuple):
    """statement: with $1, $2, …; None if no root field is a row. viewer: its setting for row security.

    tags: tables whose changes end a stored answer, or table:member if only the rows of a member count.
    tier, lifetime_seconds: None if the answer is not stored. executed_fields: root fields that are not rows.
    cost: in points, at most.
    """

    statement: str | None
    parameters: Sequence[Any]
    viewer: str
    tags: Sequence[str]
    tier: str | None
    lifetime_seconds: float | None
    is_private: bool
    executed_fields: Sequence[str]
    cost: float


def explain(schema: Schema, context: Context, request: GraphQLRequest) -> Explanation:
    """How the query of a request is answered. Raises DocumentRejected and NoPlan."""
    assert request.query is not None, "a text is explained"
    operation = read_operation(graphql_schema(schema), request.query, request.name)
    if not operation.is_query:
        raise NoPlan(f"Only queries have a plan, and this is a {operation.node.operation.value}.")
    values = operation.variables.coerce(request.variables, MAX_ERRORS)
    if isinstance(values, list):
        raise DocumentRejected("BAD_USER_INPUT", values)
    values[VIEWER] = request.caller.user_id
    try:
        plan, arguments, _ = Planner(graphql_schema(schema), context).find(request, operation, values)
    except Exception as error:
        if not isinstance(cause_of(error), EXPECTED):
            raise
        raise NoPlan(f"This query has no plan: {_reason(error)}") from error
    cached = cached_query(plan, None, arguments, values) if plan.selects_snapshot else None
    return Explanation(
        statement=plan.statement,
        parameters=arguments,
        viewer=viewer_setting(request.caller.user_id, sees_all=request.caller.sees_all),
        tags=sorted(tag.table if tag.member is None else f"{tag.table}:{tag.member}" for tag in cached.tags)
        if cached
        else [],
        tier=cached.tier.name if cached else None,
        lifetime_seconds=lifetime_seconds(plan, arguments, values) if cached else None,
        is_private=plan.policy.is_private,
        executed_fields=[key for key in plan.keys if key not in {root.key for root in plan.columns}],
        cost=operation.cost.requested(values),
    )


def shown(parameter: Any) -> str:
    """A parameter, for people."""
    is_plain = parameter is None or isinstance(parameter, str | int | float | list)
    return repr(parameter) if is_plain else str(parameter)


def _reason(error: Exception) -> str:
    if isinstance(cause_of(error), TooLarge | RecursionError):
        return SELECTS_TOO_MUCH
    return error.message if isinstance(error, GraphQLError) else str(error)
