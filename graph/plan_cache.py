"""Operations and their plans: found in the cache, or compiled and stored for the next request.

    text, name, scope, shape of the variables -> plan

A plan may be specialized for more of the variables than their shape. Then the cache holds Specializations under that
key, and the plan under the key and the values that these read.
"""

import sys
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import structlog
from graphql import GraphQLError, GraphQLSchema

from cache.memory import MemoryCache, MemoryCacheStats
from graph.compiler.cursors import InvalidCursor
from graph.compiler.deferred import Planning, Specializations, Values, request_parameter
from graph.compiler.executor import StatementExecutor
from graph.compiler.plans import Plan, compile_plan
from graph.compiler.statement import TooLarge
from graph.documents import Operation
from graph.errors import Forbidden, InputError
from graph.graphql_core_compat import replace_variable_values
from graph.request import GraphQLRequest

if TYPE_CHECKING:
    from graph.context import Context

MAX_DOCUMENTS = 256
MAX_DOCUMENT_BYTES = 64 * 2**20
MAX_PLANS = 512
MAX_PLAN_BYTES = 32 * 2**20
# Of one specialization, roughly.
SPECIALIZATION_BYTES = 5_000
# The user's id is one more variable of an operation. No variable of a document can have this name.
VIEWER = "viewer#"
# Exceptions of planning for input that the executor rejects as well, with an error that names the field.
EXPECTED = (Forbidden, GraphQLError, InputError, InvalidCursor, RecursionError, TooLarge)
# Equal for requests that may share a plan: text, name, whether the caller sees all rows, shape of the variables.
PlanKey: TypeAlias = tuple[str, str | None, bool, Hashable]
log = structlog.get_logger("candlegraph.graph")


class PlannedQuery(NamedTuple):
    """A plan, and the parameters of its statement for one request. is_stored: whether later requests find the plan."""

    plan: Plan
    arguments: Sequence[Any]
    is_stored: bool


class PlanCache:
    """Operations, and their plans. A plan holds no state of the database, so no change of the data affects it.

    fallbacks: valid queries that were answered without a plan. errors: unexpected exceptions in planning.
    """

    def __init__(self, *, trusted: int = 0, min_uses: int = MemoryCache.min_uses) -> None:
        """trusted: operations for which there is room beside all others. min_uses: before an entry is stored."""
        self._operations = MemoryCache[Operation](max_entries=MAX_DOCUMENTS + trusted, max_bytes=MAX_DOCUMENT_BYTES)
        self._plans = MemoryCache[Plan | Specializations](max_entries=MAX_PLANS + trusted, max_bytes=MAX_PLAN_BYTES)
        self._operations.min_uses = self._plans.min_uses = min_uses
        self.fallbacks = 0
        self.errors = 0

    @property
    def operation_stats(self) -> MemoryCacheStats:
        return self._operations.stats

    @property
    def plan_stats(self) -> MemoryCacheStats:
        return self._plans.stats

    def get_operation(self, text: str, name: str | None) -> Operation | None:
        return self._operations.get((text, name))

    def put_operation(self, operation: Operation) -> None:
        self._operations.put((operation.text, operation.name), operation, operation.size)

    def get(self, key: PlanKey, values: Values) -> Plan | Specializations | None:
        """The plan for these values; if there is none, the specializations of the plans that share the key."""
        found = self._plans.get(key)
        if not isinstance(found, Specializations):
            return found
        return self._plans.get((key, found.of(values))) or found

    def put(
        self, key: PlanKey, values: Values, plan: Plan, size: int, planning: Planning, known: Specializations | None
    ) -> bool:
        """Store a plan of this size in bytes, if its key is used often enough; returns whether.

        planning: of this plan. known: the specializations that get() returned for the key.
        """
        if known is None and not planning.specialized:
            return self._put(key, plan, size)
        specialized = {**(known.specialized if known else {}), **planning.specialized}
        specializations = Specializations(specialized)
        full_key = key, specializations.of(values)
        if known is None or len(specialized) > len(known.specialized):
            self._put(key, specializations, SPECIALIZATION_BYTES * len(specialized))
            # No request can have looked for this key before: its first use is now.
            self._plans.record_use(full_key)
        return self._put(full_key, plan, size)

    def record_use(self, key: PlanKey) -> None:
        """Count a use of a plan beside those that look it up, so that it is stored immediately."""
        self._plans.record_use(key)

    def record_operation_use(self, text: str, name: str | None) -> None:
        """The same for an operation."""
        self._operations.record_use((text, name))

    def _put(self, key: Hashable, value: Plan | Specializations, size: int) -> bool:
        return self._plans.put(key, value, size + sys.getsizeof(repr(key)))


class Planner:
    """Finds the plan of a query, or compiles it."""

    def __init__(self, schema: GraphQLSchema, context: "Context") -> None:
        self._schema = schema
        self._context = context
        self._cache = context.plans

    def plan(self, request: GraphQLRequest, operation: Operation, values: Values) -> PlannedQuery | None:
        """The plan and its parameters; None if the executor has to answer, as for input that it rejects.

        An unexpected exception is logged and counted: the executor answers then, too, at several times the cost.
        """
        try:
            return self.find(request, operation, values)
        except Exception as error:
            if not isinstance(cause_of(error), EXPECTED):
                self._cache.errors += 1
                log.exception("planning_failed", operation=operation.name)
            return None

    def find(self, request: GraphQLRequest, operation: Operation, values: Values) -> PlannedQuery:
        """The plan and its parameters. Raises what resolvers raise; EXPECTED lists the causes that are no bug."""
        key = self.key(request, operation, values)
        found = self._cache.get(key, values)
        if isinstance(found, Plan):
            return PlannedQuery(found, found.arguments(values), True)
        planning = Planning()
        plan = self._compile(request, operation, values, planning)
        # A resolver document references the parsed document, which then stays in memory.
        size = plan.size + (operation.size if plan.resolver_document else 0)
        is_stored = self._cache.put(key, values, plan, size, planning, found)
        return PlannedQuery(plan, plan.arguments(values), is_stored)

    @staticmethod
    def key(request: GraphQLRequest, operation: Operation, values: Values) -> PlanKey:
        return operation.text, operation.name, request.caller.sees_all, operation.variables.shape(values)

    def _compile(self, request: GraphQLRequest, operation: Operation, values: Values, planning: Planning) -> Plan:
        viewer_id = request_parameter(VIEWER, request.caller.user_id, planning)
        context = self._context.for_plan(request.caller, viewer_id)
        executor = StatementExecutor.build(
            self._schema, operation.document, None, context, request.variables, operation.name
        )
        assert isinstance(executor, StatementExecutor), "the variables have been coerced before"
        stand_ins = operation.variables.defer(values, planning)
        replace_variable_values(executor, stand_ins)
        return compile_plan(executor, operation.document, planning, for_cache=self._context.cache.is_enabled)


def cause_of(error: Exception) -> Exception:
    """The exception that a resolver raised: graphql-core wraps it, and may do so several times."""
    while isinstance(error, GraphQLError) and error.original_error is not None:
        error = error.original_error
    return error
