"""Runs operations: by a plan, whose answer may come from the cache, or field by field.

A plan answers all root fields that are rows by one statement. The executor runs a statement for each root field. It
answers what no plan can: mutations, operations that cannot be planned, and input that is rejected, because its error
names the field.
"""

import asyncio
from collections.abc import Sequence
from copy import copy
from inspect import isawaitable
from typing import Any

import orjson
from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, execute

from cache.answers import Computed
from cache.entries import Entry
from db.row_security import PRIVATE_TABLES, viewer_setting
from graph.cache_keys import cached_query, lifetime_seconds
from graph.compiler.deferred import Values
from graph.compiler.executor import StatementExecutor
from graph.compiler.plans import Plan
from graph.compiler.statement import Budget
from graph.context import Context
from graph.documents import Operation
from graph.identity.callers import Caller
from graph.plan_cache import PlannedQuery
from graph.request import GraphQLRequest
from graph.response import Answer, executed, planned, reject, stored, write


class Execution:
    """Runs the operations of a schema, with the objects of the context."""

    def __init__(self, schema: GraphQLSchema, context: Context, *, hides_schema: bool) -> None:
        """hides_schema: whether errors leave out names that might have been meant."""
        self._schema = schema
        self._context = context
        self._hides_schema = hides_schema

    async def by_plan(
        self, query: PlannedQuery, request: GraphQLRequest, operation: Operation, values: Values
    ) -> Answer | None:
        """The answer by a plan, from the cache if it is there; None if the executor has to answer."""
        plan = query.plan
        if plan.selects_snapshot:
            return await self._through_cache(query, request, operation, values)
        if plan.resolver_document is None:
            return planned(plan, await self._row(query, request.caller))
        row, beside = await asyncio.gather(
            self._row(query, request.caller), self._execute(plan.resolver_document, request, plan.budget)
        )
        return planned(plan, row, beside)

    async def field_by_field(self, request: GraphQLRequest, operation: Operation) -> Answer:
        """The answer by the executor."""
        result = await self._execute(operation.document, request)
        errors = result.errors or []
        if operation.is_query and not errors:
            self._context.plans.fallbacks += 1
        if result.data is None and not any(error.path for error in errors):
            return reject(errors, "BAD_USER_INPUT")
        return executed([orjson.dumps(result.data)], errors)

    async def _through_cache(
        self, query: PlannedQuery, request: GraphQLRequest, operation: Operation, values: Values
    ) -> Answer | None:
        plan = query.plan

        async def compute() -> Computed | Exception | None:
            row = await self._row(query, request.caller)
            if isinstance(row, Exception):
                return row
            *row, snapshot = row
            answer = planned(plan, row)
            seconds = lifetime_seconds(plan, query.arguments, values)
            return answer and Computed(write(answer), snapshot, cached.tier, seconds)

        name = operation.node.name.value if operation.node.name else None
        cached = cached_query(plan, name, query.arguments, values)
        found, source = await self._context.cache.get(cached, compute)
        if isinstance(found, Entry):
            return stored(found, source, is_private=plan.policy.is_private)
        # The error may be of another document that shares the answer, so it gets the locations of this one.
        return planned(plan, found) if isinstance(found, Exception) else None

    async def _row(self, query: PlannedQuery, caller: Caller) -> Sequence[Any] | Exception:
        """The row of a plan's statement; empty without a statement. What it raises is returned."""
        plan = query.plan
        if plan.statement is None:
            return ()
        try:
            return await self._context.database.prepared.fetch_row(
                plan.statement, query.arguments, cache_statement=query.is_stored, viewer=_viewer(caller, plan)
            )
        except Exception as error:
            return error

    async def _execute(
        self, document: DocumentNode, request: GraphQLRequest, spent: Budget | None = None
    ) -> ExecutionResult:
        """spent: what the rest of the operation selects, which is planned."""
        try:
            result = execute(
                self._schema,
                document,
                None,
                self._context.of(request.caller),
                request.variables,
                request.name,
                executor_class=StatementExecutor,
                hide_suggestions=self._hides_schema,
                budget=copy(spent),
            )
            return await result if isawaitable(result) else result
        except Exception as error:
            return ExecutionResult(None, [GraphQLError(str(error), original_error=error)])


def _viewer(caller: Caller, plan: Plan) -> str | None:
    """The setting for row security, if the plan reads private tables."""
    if plan.tables.isdisjoint(PRIVATE_TABLES):
        return None
    return viewer_setting(caller.user_id, sees_all=caller.sees_all)
