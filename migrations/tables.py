"""Triggers, policies, privileges and owner columns of tables, for migrations.

Append-only: released migrations call these functions, so a published version never changes. For other SQL, add a
function with the next number. The viewer role, the setting and the trigger functions are those of migrations 0003 to
0005.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

_ROLE = "candlegraph_viewer"
_VIEWER = "(SELECT nullif(current_setting('candlegraph.viewer', true), '')::bigint)"
_EVENTS = ("inserts", "updates", "deletes", "truncation")


def protect_table_v1(
    op: Any,
    table: str,
    *,
    announced_by: str | None,
    owner: str | None = None,
    shared_without_owner: bool = False,
    viewer_columns: Sequence[str] | None = None,
    unannounced_columns: Sequence[str] = (),
) -> None:
    """Make the triggers, policy and privileges that db/models/access.py declares.

    op: of Alembic. announced_by: "coin" (the table has a cryptocurrency_id), "table", or None for no triggers. owner:
    the column with the owner's user id; the table gets row security. viewer_columns: for a table with secrets, the
    columns that the viewer role may read, instead of row security.
    """
    if announced_by is not None:
        _announce(op, table, {"coin": "rows_of_coins", "table": "rows"}[announced_by], unannounced_columns)
    # The default privileges of migration 0005 hold only for tables of the role that ran it, so start from none.
    op.execute(f"REVOKE ALL ON {table} FROM {_ROLE}")
    if viewer_columns is None:
        op.execute(f"GRANT SELECT ON {table} TO {_ROLE}")
    elif viewer_columns:
        op.execute(f"GRANT SELECT ({', '.join(viewer_columns)}) ON {table} TO {_ROLE}")
    if owner is not None and viewer_columns is None:
        own = f"{_VIEWER} = 0 OR {owner} = {_VIEWER}"
        shown = f"{own} OR ({owner} IS NULL AND {_VIEWER} IS NOT NULL)" if shared_without_owner else own
        op.execute(f"GRANT INSERT, UPDATE ON {table} TO {_ROLE}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} TO {_ROLE} USING ({shown}) WITH CHECK ({own})")


def unprotect_table_v1(op: Any, table: str) -> None:
    """Undo protect_table_v1 for a table that remains: it is readable by all viewers. A dropped table needs no call."""
    for event in _EVENTS:
        op.execute(f"DROP TRIGGER IF EXISTS candlegraph_announce_{event} ON {table}")
    op.execute(f"DROP POLICY IF EXISTS own ON {table}")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    # This revokes privileges of columns as well.
    op.execute(f"REVOKE ALL ON {table} FROM {_ROLE}")
    op.execute(f"GRANT SELECT ON {table} TO {_ROLE}")


def add_owner_v1(op: Any, table: str, *, order: Sequence[str], ondelete: str, column: str = "user_id") -> None:
    """Add a nullable owner column with its foreign key, and an index on it followed by order.

    Fill it and make it NOT NULL in the migration if every row has an owner.
    """
    op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
    name = op.f(f"fk_{table}_{column}_users")
    op.create_foreign_key(name, table, "users", [column], ["user_id"], ondelete=ondelete)
    op.create_index(op.f(f"ix_{table}_{'_'.join([column, *order])}"), table, [column, *order])


def drop_owner_v1(op: Any, table: str, *, column: str = "user_id") -> None:
    """Undo add_owner_v1. The foreign key and the index go with the column; a policy on it must be dropped before."""
    op.drop_column(table, column)


def _announce(op: Any, table: str, function: str, unannounced_columns: Sequence[str]) -> None:
    """The triggers of migration 0003."""
    each = f"FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_{function}()"
    changes = {
        "inserts": f"INSERT ON {table} REFERENCING NEW TABLE AS changed {each}",
        "updates": f"UPDATE ON {table} REFERENCING OLD TABLE AS before NEW TABLE AS changed {each}",
        "deletes": f"DELETE ON {table} REFERENCING OLD TABLE AS changed {each}",
        "truncation": f"TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()",
    }
    if unannounced_columns:
        # A trigger that names columns has no transition tables: it runs for each row, and cannot collect coins.
        assert function == "rows", "only rows announced by table can have columns that are not announced"
        others = _columns(op, table) - set(unannounced_columns)
        changes["updates"] = (
            f"UPDATE OF {', '.join(sorted(others))} ON {table} FOR EACH ROW EXECUTE FUNCTION candlegraph_announce_row()"
        )
    for event in _EVENTS:
        op.execute(f"CREATE TRIGGER candlegraph_announce_{event} AFTER {changes[event]}")


def _columns(op: Any, table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
