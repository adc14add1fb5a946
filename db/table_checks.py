"""Checks of `candlegraph db verify` that derive from the declarations of the tables (db/models/access.py).

Each query counts violations: what a declaration demands and the database lacks, and the other way round.
"""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Table

from db.models import Access, Announced
from db.models.base import access_of
from db.row_security import ROLE

# Of pg_trigger.tgtype: 1 for each row, else for each statement; 4 insert, 8 delete, 16 update, 32 truncate. All after.
_EVENTS = {"inserts": 4, "updates": 16, "deletes": 8, "truncation": 32}
_EACH_ROW = 1


def checks(tables: Iterable[Table]) -> dict[str, str]:
    """For each check a query that counts its violations in the current schema."""
    declared = [(table.name, access_of(table)) for table in tables]
    return {
        "changes of every table are announced as it declares, by enabled triggers": _triggers(declared),
        "tables with private rows have row security and exactly one policy": _policies(declared),
        "the viewer role has the privileges that the tables declare": _privileges(declared),
    }


def _triggers(declared: Sequence[tuple[str, Access]]) -> str:
    expected = [row for name, access in declared for row in _expected_triggers(name, access)]
    rows = _values(expected, "text, text, text, int, text[]")
    return f"""
        WITH declared (relation, name, function, type, unannounced) AS ({rows}),
        found AS (
            SELECT c.relname AS relation, t.tgname AS name, p.proname AS function, t.tgtype AS type,
                CASE WHEN cardinality(t.tgattr) > 0 THEN ARRAY(
                    SELECT attname::text FROM pg_attribute
                    WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attnum <> ALL (t.tgattr)
                    ORDER BY 1
                ) ELSE '{{}}' END AS unannounced
            FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE c.relnamespace = current_schema::regnamespace AND c.relname = ANY ({_array(n for n, _ in declared)})
                AND p.proname LIKE 'candlegraph\\_announce\\_%' AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL
        )
        SELECT count(*) FROM declared d FULL JOIN found f USING (relation, name, function, type, unannounced)
        WHERE d IS NULL OR f IS NULL"""  # noqa: S608 - our own names


def _expected_triggers(name: str, access: Access) -> Iterator[tuple[object, ...]]:
    if access.announced is Announced.NEVER:
        return
    function = access.announced.value
    rows: dict[str, tuple[object, ...]] = {event: (function, type_, ()) for event, type_ in _EVENTS.items()}
    rows["truncation"] = ("candlegraph_announce_truncation", _EVENTS["truncation"], ())
    if access.unannounced_columns:
        # A trigger of certain columns cannot have transition tables, so it runs for each row.
        type_ = _EVENTS["updates"] | _EACH_ROW
        rows["updates"] = ("candlegraph_announce_row", type_, access.unannounced_columns)
    for event, row in rows.items():
        yield name, f"candlegraph_announce_{event}", *row


def _policies(declared: Sequence[tuple[str, Access]]) -> str:
    """A second permissive policy would show more rows. The policy must depend on the column of the owner."""
    expected = [(name, access.owned_by if access.has_row_security else None) for name, access in declared]
    return f"""
        WITH declared (relation, owner) AS ({_values(expected, "text, text")}),
        found AS (
            SELECT c.relname AS relation, c.relrowsecurity AS enabled, ARRAY(
                SELECT concat_ws(' ', r.rolname, p.polcmd, p.polqual IS NULL, p.polwithcheck IS NULL, (
                    SELECT string_agg(DISTINCT a.attname, ',') FROM pg_depend
                    JOIN pg_attribute a ON a.attrelid = refobjid AND a.attnum = refobjsubid
                    WHERE classid = 'pg_policy'::regclass AND objid = p.oid AND refobjid = c.oid
                ))
                FROM pg_policy p LEFT JOIN pg_roles r ON p.polroles = ARRAY[r.oid] WHERE p.polrelid = c.oid
            ) AS policies
            FROM pg_class c WHERE c.relnamespace = current_schema::regnamespace
        )
        SELECT count(*) FROM declared d LEFT JOIN found f USING (relation)
        WHERE (f.enabled, f.policies) IS DISTINCT FROM (
            d.owner IS NOT NULL,
            CASE WHEN d.owner IS NULL THEN '{{}}' ELSE ARRAY[concat_ws(' ', '{ROLE}', '*', false, false, d.owner)] END
        )"""  # noqa: S608 - our own names


def _privileges(declared: Sequence[tuple[str, Access]]) -> str:
    """Reads of all columns, or of those declared; writes of private tables; nothing else. PUBLIC's privileges count."""
    expected = [(name, access.viewer_columns, access.has_row_security) for name, access in declared]
    return f"""
        WITH declared (relation, readable, written) AS ({_values(expected, "text, text[], bool")}),
        privileges (name, granted) AS (
            SELECT d.relation || '.' || a.attname || ' SELECT',
                has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT') = coalesce(a.attname = ANY (d.readable), true)
            FROM declared d LEFT JOIN pg_roles r ON r.rolname = '{ROLE}'
            LEFT JOIN pg_class c ON c.relname = d.relation AND c.relnamespace = current_schema::regnamespace
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT d.relation || ' ' || p.privilege,
                has_table_privilege(r.oid, c.oid, p.privilege) = (d.written AND p.writes)
            FROM declared d LEFT JOIN pg_roles r ON r.rolname = '{ROLE}'
            LEFT JOIN pg_class c ON c.relname = d.relation AND c.relnamespace = current_schema::regnamespace
            CROSS JOIN (VALUES ('INSERT', true), ('UPDATE', true), ('DELETE', false), ('TRUNCATE', false))
                AS p (privilege, writes)
        )
        SELECT count(*) FROM privileges WHERE granted IS NOT TRUE"""  # noqa: S608 - our own names


def _values(rows: Iterable[tuple[object, ...]], types: str) -> str:
    """A query of literal rows, with the types of its columns."""
    names = types.split(", ")
    listed = [", ".join(f"{_literal(value)}::{type_}" for value, type_ in zip(row, names, strict=True)) for row in rows]
    if not listed:
        return f"SELECT {', '.join(f'NULL::{type_}' for type_ in names)} WHERE false"
    return "VALUES " + ", ".join(f"({row})" for row in listed)


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case tuple():
            return _array(value)
        case _:
            return f"'{value}'"


def _array(names: Iterable[str]) -> str:
    return f"'{{{', '.join(sorted(names))}}}'"
