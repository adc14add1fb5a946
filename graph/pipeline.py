"""The path of a request: read its operation, charge its cost, find its plan, answer it, refund unused points.

Each step that does not depend on the values of variables is cached (graph/plan_cache.py): a warm request parses,
validates, resolves and compiles nothing.
"""

from collections.abc import Collection
from typing import Any, TypeAlias

from strawberry import Schema

from graph.accounting import Charge, checked_cost, refund_unused
from graph.context import Context
from graph.documents import DocumentRejected, NotAQuery, Operation, read_operation
from graph.errors import MAX_ERRORS
from graph.execution import Execution
from graph.graphql_core_compat import graphql_schema
from graph.limits import USUAL, Rules
from graph.metering import REJECTED_POINTS
from graph.persisted import AllowList, PersistedQueries, example_variables
from graph.plan_cache import VIEWER, Planner
from graph.request import GraphQLRequest
from graph.response import Answer, reject

Documents: TypeAlias = AllowList | PersistedQueries


class Pipeline:
    """Answers the operations of a schema, with the objects of the context."""

    def __init__(
        self, schema: Schema, context: Context, documents: Documents | None = None, rules: Rules | None = None
    ) -> None:
        """documents: which texts are answered, and the hashes of texts; by default any text, and no hash."""
        self._schema = graphql_schema(schema)
        self._rules = rules or USUAL
        self._hides_schema = not self._rules.shows_schema
        self._documents = documents or PersistedQueries(None)
        self._plans = context.plans
        self._meter = context.meter
        self._max_cost = self._rules.max_cost
        self._planner = Planner(self._schema, context)
        self._execution = Execution(self._schema, context, hides_schema=self._hides_schema)

    async def answer(self, request: GraphQLRequest, *, queries_only: bool = False) -> Answer:
        """The answer, also where something fails. Raises only NotAQuery and RateLimited."""
        try:
            text = request.query
            if text is None or request.sha256 is not None or not self._documents.takes_any:
                text = await self._documents.text_of(text, request.sha256)
            operation, values = self._read(text, request, queries_only=queries_only)
            requested = checked_cost(operation.cost, values, self._max_cost)
        except DocumentRejected as rejection:
            level = await self._meter.charge(request.caller, REJECTED_POINTS)
            return reject(rejection.errors, rejection.code, level)
        level = await self._meter.charge(request.caller, requested)
        values[VIEWER] = request.caller.user_id
        query = self._planner.plan(request, operation, values) if operation.is_query else None
        answer = query and await self._execution.by_plan(query, request, operation, values)
        answer = answer or await self._execution.field_by_field(request, operation)
        if level is None and not request.reports_cost:
            return answer
        charge = Charge(request.caller, operation.cost, values, requested, level)
        return refund_unused(self._meter, charge, answer, self._max_cost if request.reports_cost else None)

    def prepare(self, texts: Collection[tuple[str, str | None]]) -> int:
        """Compile these operations, each a text and a name, before the first request for them.

        Returns how many could be compiled: an operation may need variables that have no fitting example.
        """
        compiled = 0
        for text, name in texts:
            self._plans.record_operation_use(text, name)
            operation = self._operation(text, name, queries_only=False)
            request = GraphQLRequest(text, example_variables(operation, self._schema), name)
            values = operation.variables.coerce(request.variables, MAX_ERRORS)
            if operation.is_query and not isinstance(values, list):
                values[VIEWER] = None
                self._plans.record_use(self._planner.key(request, operation, values))
                compiled += self._planner.plan(request, operation, values) is not None
        return compiled

    def _read(self, text: str, request: GraphQLRequest, *, queries_only: bool) -> tuple[Operation, dict[str, Any]]:
        """The operation of a request and its coerced variables. Raises DocumentRejected and NotAQuery."""
        operation = self._operation(text, request.name, queries_only=queries_only)
        if request.query and request.sha256:
            self._documents.register(request.sha256, request.query)
        values = operation.variables.coerce(request.variables, MAX_ERRORS, hides_schema=self._hides_schema)
        if isinstance(values, list):
            raise DocumentRejected("BAD_USER_INPUT", values)
        return operation, values

    def _operation(self, text: str, name: str | None, *, queries_only: bool) -> Operation:
        """The operation of this text and name, from the cache if it is there."""
        operation = self._plans.get_operation(text, name)
        if operation is None:
            operation = read_operation(self._schema, text, name, queries_only=queries_only, rules=self._rules)
            self._plans.put_operation(operation)
        if queries_only and not operation.is_query:
            raise NotAQuery
        return operation
