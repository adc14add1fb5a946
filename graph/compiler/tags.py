"""What the answer of a statement depends on: tables, and within them one member, where the statement names it.

A table whose changes are announced by member says which column names one (info["announced_by"], such as a symbol);
tables that refer to it are announced by the same names. A table that others' triggers write says whose changes are its
own (info["announced_as"]). Only what narrows the rows of a table where they are read counts: an equality with the
member's key among the criteria of that very select. What is not understood depends on the whole table.
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
    """A select within a statement, and where its rows come from."""

    select: Select[Any]
    froms: Sequence[FromClause]


def dependences(readings: Sequence[CompiledSelect]) -> set[tuple[str, BindParameter[Any] | None]]:
    """The tables that a statement with these selects reads, and what names the member if their rows are one's."""
    rows: dict[Alias, list[list[BinaryExpression[Any]]]] = {}
    for one in readings:
        for alias in _tables(one.froms):
            rows.setdefault(alias, []).append(list(_criteria(one)))
    members: dict[ClauseElement, BindParameter[Any]] = {}
    # A select may be narrowed by what another one is narrowed by.
    found = -1
    while found < len(members):
        found = len(members)
        for alias, places in rows.items():
            if alias not in members and (member := _member_everywhere(alias, places, members)) is not None:
                members[alias] = member
    return {(_announced_as(alias), members.get(alias)) for alias in rows}


def _member_everywhere(
    alias: Alias, places: list[list[BinaryExpression[Any]]], members: dict[ClauseElement, BindParameter[Any]]
) -> BindParameter[Any] | None:
    """What names the member that rows are narrowed to in all selects that read them."""
    first, *others = [_member(alias, criteria, members) for criteria in places]
    return first if all(other is first for other in others) else None


def _member(
    alias: Alias, criteria: list[BinaryExpression[Any]], members: dict[ClauseElement, BindParameter[Any]]
) -> BindParameter[Any] | None:
    """What names the member that these rows are narrowed to."""
    sides = [pair for one in criteria for pair in ((one.left, one.right), (one.right, one.left))]
    for mine, other in sides:
        column = _column(mine)
        if column is None or column.table is not alias:
            continue
        if column.name == _table(alias).info.get("announced_by"):
            if (name := _name(other)) is not None:
                return name
        elif _is_key(column) and (found := _owner(other, members)) is not None:
            return found
    return None


def _owner(other: Any, members: dict[ClauseElement, BindParameter[Any]]) -> BindParameter[Any] | None:
    """What names the member whose key this is."""
    if isinstance(other, ScalarSelect | Grouping):
        return _owner(other.element, members)
    if isinstance(other, Select):
        (other,) = other.selected_columns
    column = _column(other)
    return members.get(column.table) if column is not None and _is_key(column) else None


def _name(value: Any) -> BindParameter[Any] | None:
    """A parameter that names a member, in capitals or as it is."""
    if isinstance(value, Function) and value.name == "upper":
        value = next(iter(value.clauses))
    return value if isinstance(value, BindParameter) else None


def _column(expression: Any) -> Any:
    """The column of a table that an expression is, however many subqueries it comes through; None for any other."""
    while not _is_table(getattr(expression, "table", None)):
        inner: Any = getattr(expression, "_proxies", ())
        if len(inner) != 1:
            return None
        expression = inner[0]
    return expression


def _is_table(part: Any) -> TypeGuard[Alias]:
    return isinstance(part, Alias) and isinstance(part.element, TableClause)


def _is_key(column: Any) -> bool:
    """Whether a column holds the key of what changes are announced by: its own, or a reference to it."""
    table = _table(column.table)
    stored = table.c[column.key]
    if "announced_by" in table.info:
        return bool(stored.primary_key)
    return any("announced_by" in key.column.table.info for key in stored.foreign_keys)


def _table(alias: Alias) -> Table:
    """The table as it is stored. What is read of it may be less."""
    stored = getattr(alias.element, "stored", alias.element)
    assert isinstance(stored, Table)
    return stored


def _announced_as(alias: Alias) -> str:
    table = _table(alias)
    name: str = table.info.get("announced_as", table.name)
    return name


def _tables(froms: Iterable[FromClause]) -> Iterator[Alias]:
    for part in froms:
        assert not isinstance(part, TableClause), f"{part} is read without a name of its own"
        if isinstance(part, Join):
            yield from _tables([part.left, part.right])
        elif _is_table(part):
            yield part


def _criteria(reading: CompiledSelect) -> Iterator[BinaryExpression[Any]]:
    """The equalities that all rows of a select meet."""
    yield from _equalities(reading.select.whereclause)
    for part in reading.froms:
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
