"""Plans: an operation as one statement, which is compiled once and run for each request.

All root fields that are rows are columns of one statement, so an answer shows one snapshot. Other root fields, such as
health, become a document of their own, which graphql-core executes at the same time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    is_non_null_type,
)
from sqlalchemy import BindParameter, ColumnElement, Text, cast, func, select
from sqlalchemy.dialects.postgresql import JSON, asyncpg

from graph.compiler.deferred import DeferredValue, Planning, ReadValue, Values
from graph.compiler.executor import StatementExecutor, is_relation
from graph.compiler.policy import Policy
from graph.compiler.statement import MAX_ROOT_FIELDS, Budget, Selection, TooLarge
from graph.compiler.tags import CompiledSelect, dependencies
from graph.graphql_core_compat import Path, root_fields

# Memory that a plan takes beside its statement and values, in bytes.
PLAN_BYTES = 3_000
# Memory that a DeferredValue takes in a plan, in bytes: the functions that read its value.
DEFERRED_VALUE_BYTES = 1_000
DIALECT: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class _RecordingCompiler(DIALECT.statement_compiler):  # type: ignore[misc]
    """Records the selects of a statement with their FROM clauses, which SQLAlchemy computes only while it compiles.

    The hook is private: tests/graph/compiler/test_sqlalchemy_compat.py fails if it changes.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.selects: list[CompiledSelect] = []
        super().__init__(*args, **kwargs)

    def _compose_select_body(self, text: str, select: Any, state: Any, columns: Any, froms: Any, *rest: Any) -> Any:
        self.selects.append(CompiledSelect(select, froms))
        return super()._compose_select_body(text, select, state, columns, froms, *rest)


DIALECT.statement_compiler = _RecordingCompiler


class Dependency(NamedTuple):
    """Rows that an answer depends on: those of a member, whose name member reads; with None, all rows of the table."""

    table: str
    member: ReadValue | None


class RootColumn(NamedTuple):
    """A root field that is a column of the statement. It holds no nodes: they would keep the document in memory."""

    key: str
    is_nullable: bool
    source: Source
    positions: Sequence[int]

    def error(self, cause: Exception) -> GraphQLError:
        """The error of this field if the statement fails."""
        return GraphQLError(
            str(cause), source=self.source, positions=self.positions, path=[self.key], original_error=cause
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled operation.

    keys: the response keys of all root fields, in the order of the document.
    columns: the root fields that are columns of the statement.   statement: with $1, $2, …; None without columns.
    parameters: functions that read the statement's parameters from the variables.
    checks: functions whose result the statement does not use, but that may reject a request.
    resolver_document: an operation with the root fields that are not rows, or None.
    type_name: the value of __typename.   size: its memory, roughly, in bytes.   budget: what the operation selects.
    policy: for how long its answer may be cached.   depends_on: the rows that make the answer stale when they change.
    tables: the tables in depends_on.   selects_snapshot: whether the last column is the snapshot that was read.
    digest: identifies the plan in all processes.
    """

    keys: Sequence[str]
    columns: Sequence[RootColumn]
    statement: str | None
    parameters: Sequence[ReadValue]
    checks: Sequence[ReadValue]
    resolver_document: DocumentNode | None
    type_name: str
    size: int
    budget: Budget
    policy: Policy
    depends_on: Sequence[Dependency]
    tables: frozenset[str]
    selects_snapshot: bool
    digest: bytes

    def arguments(self, values: Values) -> list[Any]:
        """The parameters of the statement for these variables. Any exception rejects the request."""
        for check in self.checks:
            check(values)
        return [read(values) for read in self.parameters]

    def data(self, row: Sequence[bytes | None], resolved: Mapping[str, Any]) -> list[bytes]:
        """The JSON of all root fields, in parts. row: the statement's. resolved: the fields of resolver_document."""
        values = {root.key: value or b"null" for root, value in zip(self.columns, row, strict=True)}
        parts = [b"{"]
        for key in self.keys:
            value = values[key] if key in values else orjson.dumps(resolved.get(key, self.type_name))
            parts += [b'"', key.encode(), b'":', value, b","]
        parts[-1:] = [b"}"] if self.keys else [b"{}"]
        return parts


def compile_plan(
    executor: StatementExecutor, document: DocumentNode, planning: Planning, *, for_cache: bool = False
) -> Plan:
    """The plan of the executor's operation. The executor's variables hold a DeferredValue for each value left open.

    for_cache: select the snapshot too, if the answer may be stored.
    """
    root_type = executor.schema.query_type
    assert root_type is not None
    operation = executor.operation
    fields = root_fields(executor, root_type)
    if len(fields) > MAX_ROOT_FIELDS:
        raise TooLarge
    budget = Budget()
    policy = Policy()
    selection = Selection(executor, budget, planning, policy)
    root_columns, expressions, resolver_nodes = [], [], []
    for key, details in fields.items():
        nodes = [field.node for field in details]
        if is_relation(root_type, details):
            return_type = root_type.fields[nodes[0].name.value].type
            path = Path(None, key, root_type.name)
            value = selection.resolve(root_type, details, path, None)
            root_columns.append(_root_column(key, nodes, is_nullable=not is_non_null_type(return_type)))
            expressions.append(cast(selection.json(return_type, details, path, value), JSON))
        elif nodes[0].name.value != "__typename":
            resolver_nodes += nodes
    selects_snapshot = for_cache and policy.is_cacheable and bool(expressions) and not resolver_nodes
    if selects_snapshot:
        expressions.append(cast(func.pg_current_snapshot(), Text))
    statement, parameters, depends_on = _compile_select(expressions) if expressions else (None, [], [])
    return Plan(
        keys=list(fields),
        columns=root_columns,
        statement=statement,
        parameters=[_parameter_reader(parameter) for parameter in parameters],
        checks=_checks(planning, parameters),
        resolver_document=_with_root_fields(resolver_nodes, document, operation) if resolver_nodes else None,
        type_name=root_type.name,
        size=PLAN_BYTES + _size(statement, parameters) + DEFERRED_VALUE_BYTES * planning.deferred_values,
        budget=budget,
        policy=policy,
        depends_on=depends_on,
        tables=frozenset(dependency.table for dependency in depends_on),
        selects_snapshot=selects_snapshot,
        digest=_digest(statement, list(fields), [root.key for root in root_columns], root_type.name),
    )


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _root_column(key: str, nodes: Sequence[FieldNode], *, is_nullable: bool) -> RootColumn:
    places = [node.loc for node in nodes if node.loc is not None]
    return RootColumn(key, is_nullable, places[0].source, [place.start for place in places])


def _compile_select(
    expressions: Sequence[ColumnElement[Any]],
) -> tuple[str, list[BindParameter[Any]], list[Dependency]]:
    """The statement that selects these expressions, its parameters in their order, and the rows that it depends on."""
    compiled = select(*expressions).compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, _RecordingCompiler)
    depends_on = [
        Dependency(table, None if member is None else _parameter_reader(member))
        for table, member in dependencies(compiled.selects)
    ]
    return str(compiled), [compiled.binds[name] for name in compiled.positiontup or ()], depends_on


def _parameter_reader(parameter: BindParameter[Any]) -> ReadValue:
    if isinstance(parameter, DeferredValue):
        return parameter.read
    process = parameter.type.dialect_impl(DIALECT).bind_processor(DIALECT)
    value = parameter.effective_value
    constant = value if process is None else process(value)
    return lambda _: constant


def _size(statement: str | None, parameters: Sequence[BindParameter[Any]]) -> int:
    """The memory of the statement's text and constant parameters, roughly, in bytes."""
    constants = [parameter.effective_value for parameter in parameters if not isinstance(parameter, DeferredValue)]
    return 2 * len(statement or "") + 2 * sum(len(repr(value)) for value in constants)


def _checks(planning: Planning, parameters: Sequence[BindParameter[Any]]) -> list[ReadValue]:
    """The functions that read derived values which the statement does not use."""
    used = {parameter.origin for parameter in parameters if isinstance(parameter, DeferredValue)}
    # Values that the plan is specialized for are read for its key.
    used |= planning.specialized.keys()
    return list({value.origin: value.read for value in planning.derived if value.origin not in used}.values())


def _with_root_fields(
    nodes: Sequence[FieldNode], document: DocumentNode, operation: OperationDefinitionNode
) -> DocumentNode:
    """The operation with these root fields only."""
    part = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(nodes)),
    )
    fragments = [definition for definition in document.definitions if isinstance(definition, FragmentDefinitionNode)]
    return DocumentNode(definitions=(part, *fragments))
