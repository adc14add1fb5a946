"""Plans: an operation as one statement, which is compiled once and run for each request.

The rows of all root fields are columns of one statement, so an answer is one snapshot. What is no row, such as health,
is an operation of its own, to be executed beside it.
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
from graph.compiler.tags import CompiledSelect, dependences
from graph.graphql_core_compat import Path, root_fields

PLAN_BYTES = 3_000
# What is left of a DeferredValue in a plan: the ways in which its value is read.
DEFERRED_VALUE_BYTES = 1_000
DIALECT: Any = asyncpg.dialect()  # type: ignore[no-untyped-call]


class _Compiler(DIALECT.statement_compiler):  # type: ignore[misc]
    """Notes which selects a statement is made of, and where their rows come from: nobody else knows before."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.readings: list[CompiledSelect] = []
        super().__init__(*args, **kwargs)

    def _compose_select_body(self, text: str, select: Any, state: Any, columns: Any, froms: Any, *rest: Any) -> Any:
        self.readings.append(CompiledSelect(select, froms))
        return super()._compose_select_body(text, select, state, columns, froms, *rest)


DIALECT.statement_compiler = _Compiler


class Dependence(NamedTuple):
    """Rows that an answer depends on. member reads what names the one that they belong to; None: rows of any."""

    table: str
    member: ReadValue | None


class RootRows(NamedTuple):
    """A root field that is a column of the statement. Its nodes would keep the whole document in memory."""

    key: str
    is_nullable: bool
    source: Source
    positions: Sequence[int]

    def failure(self, error: Exception) -> GraphQLError:
        return GraphQLError(
            str(error), source=self.source, positions=self.positions, path=[self.key], original_error=error
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled operation.

    keys: of all root fields, in the order of the document.   rows: those that are columns of the statement.
    statement: with $1, $2, …; None where there are no rows.   parameters: how each is read from the variables.
    checks: readings whose result is of no use, but that may refuse a request.
    beside: an operation with the root fields that are not rows.   type_name: what __typename answers.
    size: roughly what it takes, in bytes.   spent: what it selects.
    policy: for how long its answer may be kept.   depends_on: what ends that before.   tables: those in it.
    tells_snapshot: whether the last column of the statement tells which snapshot it saw.
    digest: tells it from other plans, in all processes.
    """

    keys: Sequence[str]
    rows: Sequence[RootRows]
    statement: str | None
    parameters: Sequence[ReadValue]
    checks: Sequence[ReadValue]
    beside: DocumentNode | None
    type_name: str
    size: int
    spent: Budget
    policy: Policy
    depends_on: Sequence[Dependence]
    tables: frozenset[str]
    tells_snapshot: bool
    digest: bytes

    def arguments(self, values: Values) -> list[Any]:
        """The parameters of the statement for these variables. Whatever it raises, the request is to be refused."""
        for check in self.checks:
            check(values)
        return [read(values) for read in self.parameters]

    def data(self, row: Sequence[bytes | None], beside: Mapping[str, Any]) -> list[bytes]:
        """All root fields as JSON, in parts: those of the row, and those that were executed beside it."""
        values = {root.key: value or b"null" for root, value in zip(self.rows, row, strict=True)}
        parts = [b"{"]
        for key in self.keys:
            value = values[key] if key in values else orjson.dumps(beside.get(key, self.type_name))
            parts += [b'"', key.encode(), b'":', value, b","]
        parts[-1:] = [b"}"] if self.keys else [b"{}"]
        return parts


def compile_plan(
    executor: StatementExecutor, document: DocumentNode, planning: Planning, *, for_cache: bool = False
) -> Plan:
    """The plan of the executor's operation; its variables hold a DeferredValue where the plan leaves them open.

    for_cache: whether the statement should tell what it saw, where its answer may be stored.
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
    rows, columns, beside = [], [], []
    for key, details in fields.items():
        nodes = [field.node for field in details]
        if is_relation(root_type, details):
            return_type = root_type.fields[nodes[0].name.value].type
            path = Path(None, key, root_type.name)
            value = selection.resolve(root_type, details, path, None)
            rows.append(_root_rows(key, nodes, is_nullable=not is_non_null_type(return_type)))
            columns.append(cast(selection.json(return_type, details, path, value), JSON))
        elif nodes[0].name.value != "__typename":
            beside += nodes
    tells_snapshot = for_cache and policy.is_kept and bool(columns) and not beside
    if tells_snapshot:
        columns.append(cast(func.pg_current_snapshot(), Text))
    statement, parameters, depends_on = _written(columns) if columns else (None, [], [])
    return Plan(
        keys=list(fields),
        rows=rows,
        statement=statement,
        parameters=[_read_of(parameter) for parameter in parameters],
        checks=_unused(planning, parameters),
        beside=_only(beside, document, operation) if beside else None,
        type_name=root_type.name,
        size=PLAN_BYTES + _size(statement, parameters) + DEFERRED_VALUE_BYTES * planning.deferred_values,
        spent=budget,
        policy=policy,
        depends_on=depends_on,
        tables=frozenset(dependence.table for dependence in depends_on),
        tells_snapshot=tells_snapshot,
        digest=_digest(statement, list(fields), [root.key for root in rows], root_type.name),
    )


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _root_rows(key: str, nodes: Sequence[FieldNode], *, is_nullable: bool) -> RootRows:
    places = [node.loc for node in nodes if node.loc is not None]
    return RootRows(key, is_nullable, places[0].source, [place.start for place in places])


def _written(
    columns: Sequence[ColumnElement[Any]],
) -> tuple[str, list[BindParameter[Any]], list[Dependence]]:
    """The statement of these columns, its parameters in their order, and what it depends on."""
    compiled = select(*columns).compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    assert isinstance(compiled, _Compiler)
    found = [
        Dependence(table, None if member is None else _read_of(member))
        for table, member in dependences(compiled.readings)
    ]
    return str(compiled), [compiled.binds[name] for name in compiled.positiontup or ()], found


def _read_of(parameter: BindParameter[Any]) -> ReadValue:
    if isinstance(parameter, DeferredValue):
        return parameter.read
    process = parameter.type.dialect_impl(DIALECT).bind_processor(DIALECT)
    value = parameter.effective_value
    fixed = value if process is None else process(value)
    return lambda _: fixed


def _size(statement: str | None, parameters: Sequence[BindParameter[Any]]) -> int:
    """Roughly, in bytes: the text, and the values that are part of the plan."""
    fixed = [parameter.effective_value for parameter in parameters if not isinstance(parameter, DeferredValue)]
    return 2 * len(statement or "") + 2 * sum(len(repr(value)) for value in fixed)


def _unused(planning: Planning, parameters: Sequence[BindParameter[Any]]) -> list[ReadValue]:
    """The readings that no parameter makes."""
    used = {parameter.identity for parameter in parameters if isinstance(parameter, DeferredValue)}
    # What is known is read for the key.
    used |= planning.specialized.keys()
    return list({later.identity: later.read for later in planning.derived if later.identity not in used}.values())


def _only(nodes: Sequence[FieldNode], document: DocumentNode, operation: OperationDefinitionNode) -> DocumentNode:
    """The operation with these root fields alone."""
    part = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(nodes)),
    )
    fragments = [definition for definition in document.definitions if isinstance(definition, FragmentDefinitionNode)]
    return DocumentNode(definitions=(part, *fragments))
