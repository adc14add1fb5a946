"""Answers operations: by their plan, or field by field where there is none.

    text and name -> document -> shape of the variables -> plan -> one statement -> bytes

Each step is remembered (graph/plan_cache.py), so that a warm request parses, validates, resolves and compiles nothing.
Whatever a plan cannot answer, the executor answers, by a statement for each root field: input that is refused, so that
its error says where, and operations that no plan can be made of.
"""

import asyncio
import sys
from collections.abc import Collection, Hashable, Sequence
from contextlib import suppress
from copy import copy
from inspect import isawaitable
from typing import Any, NamedTuple, TypeAlias

import orjson
from graphql import DocumentNode, ExecutionResult, GraphQLError, execute
from strawberry import Schema

from cache.answers import Computed, Source
from cache.buckets import Level
from cache.entries import Entry
from db.errors import Rejected
from db.row_security import PRIVATE_TABLES, viewer_setting
from graph.accounting import actual_cost, too_expensive, with_cost
from graph.cache_keys import cached_query, lifetime_seconds
from graph.compiler.deferred import Planning, Specializations, Values, request_parameter
from graph.compiler.executor import StatementExecutor
from graph.compiler.plans import Plan, compile_plan
from graph.compiler.statement import Budget
from graph.context import Context
from graph.documents import DocumentRejected, NotAQuery, Operation, read_operation
from graph.errors import MAX_ERRORS, present
from graph.graphql_core_compat import graphql_schema, replace_variable_values
from graph.identity.callers import ANONYMOUS, Caller
from graph.limits import USUAL, Rules
from graph.metering import KEPT_POINTS, REFUSED_POINTS
from graph.persisted import AllowList, PersistedQueries, example_variables

Row: TypeAlias = Sequence[Any]
Documents: TypeAlias = AllowList | PersistedQueries
NULL = [b"null"]
VIEWER = "viewer#"
# What a reading takes, roughly.
SPECIALIZATION_BYTES = 5_000


class GraphQLRequest(NamedTuple):
    """An operation as a client sends it."""

    query: str | None
    variables: dict[str, Any]
    name: str | None
    sha256: str | None = None
    caller: Caller = ANONYMOUS
    tells_cost: bool = False


class Answer(NamedTuple):
    """An answer as JSON. A request error is one that kept the operation from being executed at all.

    entry: under which it is kept, if it may be. level: what the caller has left to spend, where that is counted.
    """

    body: bytes
    is_request_error: bool = False
    entry: Entry | None = None
    source: Source = Source.BYPASS
    level: Level | None = None


class Pipeline:
    """Answers the operations of a schema, with what the context holds."""

    def __init__(
        self, schema: Schema, context: Context, documents: Documents | None = None, rules: Rules | None = None
    ) -> None:
        """documents: which texts are answered, and which hashes stand for one; any text by default, and no hash."""
        self._rules = rules or USUAL
        self._schema = graphql_schema(schema)
        self._context = context
        self._plans = context.plans
        self._documents = documents or PersistedQueries(None)

    async def answer(self, request: GraphQLRequest, *, queries_only: bool = False) -> Answer:
        """The answer, whatever goes wrong. Raises nothing but NotAQuery and RateLimited."""
        try:
            sent = request
            if request.sha256 is not None or not self._documents.takes_any:
                request = request._replace(query=await self._documents.text_of(request.query, request.sha256))
            operation = self._operation(request, queries_only=queries_only)
        except DocumentRejected as refusal:
            return await self._refused(request, refusal.errors, refusal.code)
        if sent.query and sent.sha256:
            self._documents.keep(sent.sha256, sent.query)
        hides_schema = not self._rules.shows_schema
        values = operation.variables.coerce(request.variables, MAX_ERRORS, hides_schema=hides_schema)
        if isinstance(values, list):
            return await self._refused(request, values, "BAD_USER_INPUT")
        requested = operation.cost.requested(values)
        if requested > self._rules.max_cost:
            return await self._refused(request, [too_expensive(operation.cost, values, self._rules.max_cost)], "")
        level = await self._context.meter.charge(request.caller, requested)
        # Who asks is one more variable: its name is none that a document can have.
        values[VIEWER] = request.caller.user_id
        answer = await self._planned(request, operation, values) if operation.is_query else None
        answer = answer or await self._unplanned(request, operation)
        if level is None and not request.tells_cost:
            return answer
        return self._accounted(request, operation, values, answer._replace(level=level), requested)

    def prepare(self, texts: Collection[tuple[str, str | None]]) -> int:
        """Compile these operations, each a text and a name, so that not even the first request waits for it.

        Returns how many could be: an operation may need variables that nobody can guess.
        """
        compiled = 0
        for text, name in texts:
            self._plans.operations.record_use((text, name))
            operation = self._operation(GraphQLRequest(text, {}, name), queries_only=False)
            request = GraphQLRequest(text, example_variables(operation, self._schema), name)
            values = operation.variables.coerce(request.variables, MAX_ERRORS)
            if operation.is_query and not isinstance(values, list):
                values[VIEWER] = None
                self._plans.plans.record_use(self._key(request, operation, values))
                with suppress(Exception):
                    self._plan(request, operation, values)
                    compiled += 1
        return compiled

    async def _refused(self, request: GraphQLRequest, errors: Sequence[GraphQLError], code: str) -> Answer:
        level = await self._context.meter.charge(request.caller, REFUSED_POINTS)
        return _refusal(errors, code)._replace(level=level)

    def _accounted(
        self, request: GraphQLRequest, operation: Operation, values: Values, answer: Answer, requested: float
    ) -> Answer:
        """Give back what was not needed; tell, where that is wanted, what it was."""
        is_kept = answer.source in (Source.MEMORY, Source.REDIS)
        actual = KEPT_POINTS if is_kept else actual_cost(operation.cost, answer.body, values, requested)
        unused = max(0.0, requested - actual)
        self._context.meter.give_back(request.caller, unused)
        level = answer.level and answer.level.with_more(unused)
        if not request.tells_cost:
            return answer._replace(level=level)
        body = with_cost(answer.body, requested, requested - unused, self._rules.max_cost)
        return answer._replace(level=level, body=body, entry=None)

    def _operation(self, request: GraphQLRequest, *, queries_only: bool) -> Operation:
        assert request.query is not None, "a request has its text by now"
        key = request.query, request.name
        operation = self._plans.operations.get(key)
        if operation is None:
            operation = read_operation(self._schema, *key, queries_only=queries_only, rules=self._rules)
            self._plans.operations.put(key, operation, operation.size)
        if queries_only and not operation.is_query:
            raise NotAQuery
        return operation

    async def _planned(self, request: GraphQLRequest, operation: Operation, values: Values) -> Answer | None:
        """The answer by a plan; None where none can be made, or it refuses the variables.

        What refuses them refuses them again in the executor, which says of which field that is true.
        """
        try:
            plan, is_kept = self._plan(request, operation, values)
            arguments = plan.arguments(values)
        except Exception:
            return None
        if plan.selects_snapshot:
            return await self._cached(request, operation, plan, arguments, values, is_kept=is_kept)
        if plan.resolver_document is None:
            return _assembled(plan, await self._row(request, plan, arguments, is_kept), None)
        row, beside = await asyncio.gather(
            self._row(request, plan, arguments, is_kept), self._execute(plan.resolver_document, request, plan.budget)
        )
        return _assembled(plan, row, beside)

    async def _cached(
        self,
        request: GraphQLRequest,
        operation: Operation,
        plan: Plan,
        arguments: Sequence[Any],
        values: Values,
        *,
        is_kept: bool,
    ) -> Answer | None:
        """The answer as it is kept, or will be."""

        async def compute() -> Computed | Exception | None:
            row = await self._row(request, plan, arguments, is_kept)
            if isinstance(row, Exception):
                return row
            *row, snapshot = row
            answer = _assembled(plan, row, None)
            seconds = lifetime_seconds(plan, arguments, values)
            return answer and Computed(answer.body, snapshot, cached.tier, seconds)

        name = operation.node.name.value if operation.node.name else None
        cached = cached_query(plan, name, arguments, values)
        found, source = await self._context.cache.get(cached, compute)
        # Others may have asked for the same by another document, where errors have other places.
        if isinstance(found, Entry):
            return Answer(found.body, entry=found, source=source)
        return _assembled(plan, found, None) if isinstance(found, Exception) else None

    @staticmethod
    def _key(request: GraphQLRequest, operation: Operation, values: Values) -> Hashable:
        """Of the plan, which answers everybody who sees as much."""
        return request.query, request.name, request.caller.sees_all, operation.variables.shape(values)

    def _plan(self, request: GraphQLRequest, operation: Operation, values: Values) -> tuple[Plan, bool]:
        """The plan, and whether it is kept for the next request."""
        key = self._key(request, operation, values)
        kept = self._plans.plans.get(key)
        readings = kept if isinstance(kept, Specializations) else None
        if readings is not None:
            kept = self._plans.plans.get((key, readings.of(values)))
        if isinstance(kept, Plan):
            return kept, True
        planning = Planning()
        plan = self._compiled(request, operation, values, planning)
        if planning.specialized or readings is not None:
            key = self._key_by_readings(key, readings, planning, values)
        # What is executed beside holds on to its document.
        return plan, self._keep(key, plan, plan.size + (operation.size if plan.resolver_document else 0))

    def _key_by_readings(
        self, key: Hashable, kept: Specializations | None, planning: Planning, values: Values
    ) -> Hashable:
        """The key of a plan that takes more for granted than a shape."""
        known = {**(kept.specialized if kept else {}), **planning.specialized}
        readings = Specializations(known)
        if kept is None or len(known) > len(kept.specialized):
            self._keep(key, readings, SPECIALIZATION_BYTES * len(known))
            # Nobody could ask for a key of these readings before.
            self._plans.plans.record_use((key, readings.of(values)))
        return key, readings.of(values)

    def _keep(self, key: Hashable, value: Plan | Specializations, size: int) -> bool:
        return self._plans.plans.put(key, value, size + sys.getsizeof(repr(key)))

    def _compiled(self, request: GraphQLRequest, operation: Operation, values: Values, planning: Planning) -> Plan:
        viewer_id = request_parameter(VIEWER, request.caller.user_id, planning)
        context = self._context.of_anyone_like(request.caller, viewer_id)
        executor = StatementExecutor.build(
            self._schema, operation.document, None, context, request.variables, request.name
        )
        assert isinstance(executor, StatementExecutor), "the variables have been coerced before"
        stand_ins = operation.variables.defer(values, planning)
        replace_variable_values(executor, stand_ins)
        return compile_plan(executor, operation.document, planning, for_cache=self._context.cache.is_enabled)

    async def _row(
        self, request: GraphQLRequest, plan: Plan, arguments: Sequence[Any], is_kept: bool
    ) -> Row | Exception:
        if plan.statement is None:
            return ()
        try:
            return await self._context.database.prepared.fetch_row(
                plan.statement, arguments, cache_statement=is_kept, viewer=_viewer(request.caller, plan)
            )
        except Exception as error:
            return error

    async def _unplanned(self, request: GraphQLRequest, operation: Operation) -> Answer:
        result = await self._execute(operation.document, request)
        errors = result.errors or []
        if operation.is_query and not errors:
            self._plans.fallbacks += 1
        if result.data is None and not any(error.path for error in errors):
            return _refusal(errors, "BAD_USER_INPUT")
        return Answer(_written([orjson.dumps(result.data)], errors))

    async def _execute(
        self, document: DocumentNode, request: GraphQLRequest, spent: Budget | None = None
    ) -> ExecutionResult:
        """spent: what has been selected elsewhere in the operation."""
        try:
            result = execute(
                self._schema,
                document,
                None,
                self._context.of(request.caller),
                request.variables,
                request.name,
                executor_class=StatementExecutor,
                hide_suggestions=not self._rules.shows_schema,
                budget=copy(spent),
            )
            return await result if isawaitable(result) else result
        except Exception as error:
            return ExecutionResult(None, [GraphQLError(str(error), original_error=error)])


def _viewer(caller: Caller, plan: Plan) -> str | None:
    """Who is to see what the plan reads, where that is not for everybody."""
    if plan.tables.isdisjoint(PRIVATE_TABLES):
        return None
    return viewer_setting(caller.user_id, sees_all=caller.sees_all)


def _assembled(plan: Plan, row: Row | Exception, beside: ExecutionResult | None) -> Answer | None:
    """The answer of a plan; None where the executor knows better which field is to blame."""
    if isinstance(row, Exception):
        return None if isinstance(row, Rejected) else _failed(plan, row, beside)
    if not all(value is not None or root.is_nullable for root, value in zip(plan.columns, row, strict=True)):
        return None
    if beside is None:
        return Answer(_written(plan.data(row, {}), []))
    data = NULL if beside.data is None else plan.data(row, beside.data)
    return Answer(_written(data, beside.errors or []))


def _failed(plan: Plan, failure: Exception, beside: ExecutionResult | None) -> Answer:
    """The answer of a plan whose statement failed: an error for each field that it was to answer."""
    errors = [root.error(failure) for root in plan.columns]
    live = (beside.data if beside else {}) or {}
    if beside is not None:
        errors += beside.errors or []
    is_null = not all(root.is_nullable for root in plan.columns) or (beside is not None and beside.data is None)
    return Answer(_written(NULL if is_null else plan.data([None] * len(plan.columns), live), errors))


def _written(data: Sequence[bytes], errors: Sequence[GraphQLError]) -> bytes:
    """The answer. Data comes in parts, which may be large: they are copied once."""
    if not errors:
        return b"".join([b'{"data":', *data, b"}"])
    # Root fields fail in the order in which their statements end.
    in_order = sorted(errors, key=lambda error: list(error.positions or []))
    return b"".join([b'{"errors":', orjson.dumps(present(in_order)), b',"data":', *data, b"}"])


def _refusal(errors: Sequence[GraphQLError], code: str) -> Answer:
    return Answer(orjson.dumps({"errors": present(errors, request_code=code)}), is_request_error=True)
