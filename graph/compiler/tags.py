"""Tags: the tables that an answer depends on, and one member of a table where the statement selects only its rows.

A table whose changes are announced by member names the column of the member's name (info["announced_by"], such as a
symbol); tables that refer to it are announced by the same names. A table that triggers fill from another one names that
table (info["announced_as"]). A member is found only by an equality with its key among the criteria of the select that
reads the rows. In any other case the answer depends on the whole table.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

from sqlalchemy import (
    Alias,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ClauseElement,
    FromClause,
    Grouping,
    Join,
    ScalarSelect,
    Select,
    Table,
    TableClause,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.functions import Function


class CompiledSelect(NamedTuple):
    """A select of a statement, and its FROM clauses."""

    select: Select[Any]
    froms: Sequence[FromClause]


def dependencies(selects: Sequence[CompiledSelect]) -> set[tuple[str, BindParameter[Any] | None]]:
    """The tables that these selects of a statement read, each with the parameter that names the member, if any."""
    criteria_by_alias: dict[Alias, list[list[BinaryExpression[Any]]]] = {}
    for select in selects:
        for alias in _tables(select.froms):
            criteria_by_alias.setdefault(alias, []).append(list(_criteria(select)))
    members: dict[ClauseElement, BindParameter[Any]] = {}
    # A criterion may refer to rows of another select, so repeat until no more members are found.
    count = -1
    while count < len(members):
        count = len(members)
        for alias, all_criteria in criteria_by_alias.items():
            if alias not in members and (member := _common_member(alias, all_criteria, members)) is not None:
                members[alias] = member
    return {(_tag_table(alias), members.get(alias)) for alias in criteria_by_alias}


def _common_member(
    alias: Alias, all_criteria: list[list[BinaryExpression[Any]]], members: dict[ClauseElement, BindParameter[Any]]
) -> BindParameter[Any] | None:
    """The parameter that names the member whose rows all selects of the alias read; None if they differ."""
    first, *others = [_member(alias, criteria, members) for criteria in all_criteria]
    return first if all(other is first for other in others) else None


def _member(
    alias: Alias, criteria: list[BinaryExpression[Any]], members: dict[ClauseElement, BindParameter[Any]]
) -> BindParameter[Any] | None:
    """The parameter that names the member whose rows a select with these criteria reads."""
    sides = [pair for one in criteria for pair in ((one.left, one.right), (one.right, one.left))]
    for side, other in sides:
        column = _column(side)
        if column is None or column.table is not alias:
            continue
        if column.name == _table(alias).info.get("announced_by"):
            if (name := _name_parameter(other)) is not None:
                return name
        elif _is_key(column) and (member := _referenced_member(other, members)) is not None:
            return member
    return None


def _referenced_member(other: Any, members: dict[ClauseElement, BindParameter[Any]]) -> BindParameter[Any] | None:
    """The parameter that names the member whose key this expression is."""
    if isinstance(other, ScalarSelect | Grouping):
        return _referenced_member(other.element, members)
    if isinstance(other, Select):
        (other,) = other.selected_columns
    column = _column(other)
    return members.get(column.table) if column is not None and _is_key(column) else None


def _name_parameter(value: Any) -> BindParameter[Any] | None:
    """The parameter that is this expression, or its argument if it is upper()."""
    if isinstance(value, Function) and value.name == "upper":
        value = next(iter(value.clauses))
    return value if isinstance(value, BindParameter) else None


def _column(expression: Any) -> Any:
    """The column of a table that an expression is, directly or through subqueries; None for any other expression."""
    while not _is_table(getattr(expression, "table", None)):
        inner: Any = getattr(expression, "_proxies", ())
        if len(inner) != 1:
            return None
        expression = inner[0]
    return expression


def _is_table(part: Any) -> TypeGuard[Alias]:
    return isinstance(part, Alias) and isinstance(part.element, TableClause)


def _is_key(column: Any) -> bool:
    """Whether a column holds the key of a member: the primary key of its table, or a reference to it."""
    table = _table(column.table)
    stored = table.c[column.key]
    if "announced_by" in table.info:
        return bool(stored.primary_key)
    return any("announced_by" in key.column.table.info for key in stored.foreign_keys)


def _table(alias: Alias) -> Table:
    """The table as it is stored: a query may read it through a selectable with fewer columns."""
    stored = getattr(alias.element, "stored", alias.element)
    assert isinstance(stored, Table)
    return stored


def _tag_table(alias: Alias) -> str:
    """The table whose announcements cover the rows of this one."""
    table = _table(alias)
    name: str = table.info.get("announced_as", table.name)
    return name


def _tables(froms: Iterable[FromClause]) -> Iterator[Alias]:
    for part in froms:
        assert not isinstance(part, TableClause), f"{part} is read without an alias"
        if isinstance(part, Join):
            yield from _tables([part.left, part.right])
        elif _is_table(part):
            yield part


def _criteria(compiled: CompiledSelect) -> Iterator[BinaryExpression[Any]]:
    """The equalities that hold for all rows of a select."""
    yield from _equalities(compiled.select.whereclause)
    for part in compiled.froms:
        if isinstance(part, Join) and not (part.isouter or part.full):
            yield from _equalities(part.onclause)


def _equalities(criterion: Any) -> Iterator[BinaryExpression[Any]]:
    if isinstance(criterion, Grouping):
        yield from _equalities(criterion.element)
    elif isinstance(criterion, BooleanClauseList) and criterion.operator is operators.and_:
        for part in criterion.clauses:
            yield from _equalities(part)
    elif isinstance(criterion, BinaryExpression) and criterion.operator is operators.eq:
        yield criterion
