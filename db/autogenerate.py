"""Adds the call of protect_table_v1 (migrations/tables.py) for each new table to a migration that Alembic generates."""

from collections.abc import Iterable
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp, MigrateOperation, MigrationScript

from db.models import Access, Announced

_ANNOUNCED_BY = {Announced.BY_COIN: "coin", Announced.BY_TABLE: "table", Announced.NEVER: None}


class ProtectTable(MigrateOperation):
    """Stands for one call of protect_table_v1."""

    def __init__(self, table: str, access: Access) -> None:
        self.table = table
        self.access = access


def protect_new_tables(_context: Any, _revision: Any, scripts: Iterable[MigrationScript]) -> None:
    """Alembic's process_revision_directives: protects tables once all of them, and their indexes, are created."""
    for script in scripts:
        for upgrade in script.upgrade_ops_list:
            created = [operation for operation in upgrade.ops if isinstance(operation, CreateTableOp)]
            upgrade.ops += [ProtectTable(operation.table_name, operation.info["access"]) for operation in created]
            for operation in created:
                # Alembic would write it into the migration, which imports nothing of ours.
                operation.info.clear()


@renderers.dispatch_for(ProtectTable)
def _render(context: AutogenContext, operation: ProtectTable) -> str:
    context.imports.add("from migrations.tables import protect_table_v1")
    access = operation.access
    given: dict[str, Any] = {"announced_by": _ANNOUNCED_BY[access.announced]}
    if access.owned_by is not None:
        given["owner"] = access.owned_by
    if access.shared_without_owner:
        given["shared_without_owner"] = True
    if access.viewer_columns is not None:
        given["viewer_columns"] = access.viewer_columns
    if access.unannounced_columns:
        given["unannounced_columns"] = access.unannounced_columns
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return f'protect_table_v1(op, "{operation.table}", {arguments})'
