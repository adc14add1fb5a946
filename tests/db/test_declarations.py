"""Tables are protected and announced as their models declare, and a migration can do both for a new table."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Identity, MetaData, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError

from db import maintenance, migrate, row_security, table_checks
from db.engine import Database
from db.models import Access, Announced, Base
from db.models.base import access_of, declare
from migrations.tables import unprotect_table_v1

TRIGGERS, POLICIES, PRIVILEGES = table_checks.checks([])
DAMAGE = {
    "a trigger is disabled": ("ALTER TABLE trades DISABLE TRIGGER candlegraph_announce_deletes", TRIGGERS),
    "a trigger is missing": ("DROP TRIGGER candlegraph_announce_truncation ON users", TRIGGERS),
    "a trigger that calls another function": (
        """DROP TRIGGER candlegraph_announce_deletes ON signals;
        CREATE TRIGGER candlegraph_announce_deletes AFTER DELETE ON signals REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
        TRIGGERS,
    ),
    "a trigger for another event": (
        """DROP TRIGGER candlegraph_announce_deletes ON alerts;
        CREATE TRIGGER candlegraph_announce_deletes AFTER INSERT ON alerts REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
        TRIGGERS,
    ),
    "a trigger with a condition": (
        """DROP TRIGGER candlegraph_announce_updates ON api_keys;
        CREATE TRIGGER candlegraph_announce_updates AFTER UPDATE OF
            key_id, user_id, name, prefix, key_hash, scopes, expires_at, revoked_at, created_at ON api_keys
            FOR EACH ROW WHEN (NEW.user_id = 1) EXECUTE FUNCTION candlegraph_announce_row()""",
        TRIGGERS,
    ),
    "a trigger without a column": (
        """DROP TRIGGER candlegraph_announce_updates ON api_keys;
        CREATE TRIGGER candlegraph_announce_updates AFTER UPDATE OF
            key_id, user_id, name, prefix, key_hash, scopes, expires_at, created_at ON api_keys
            FOR EACH ROW EXECUTE FUNCTION candlegraph_announce_row()""",
        TRIGGERS,
    ),
    "a trigger that is not declared": (
        """CREATE TRIGGER candlegraph_announce_truncation AFTER TRUNCATE ON idempotency_keys
            FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()""",
        TRIGGERS,
    ),
    "row security is off": ("ALTER TABLE trades DISABLE ROW LEVEL SECURITY", POLICIES),
    "row security that is not declared": ("ALTER TABLE models ENABLE ROW LEVEL SECURITY", POLICIES),
    "a policy is missing": ("DROP POLICY own ON alerts", POLICIES),
    "a second policy": ("CREATE POLICY more ON trades USING (true)", POLICIES),
    "a policy that is not declared": ("CREATE POLICY own ON models USING (true)", POLICIES),
    "a policy for every role": ("ALTER POLICY own ON trades TO PUBLIC", POLICIES),
    "a policy for two roles": ("ALTER POLICY own ON trades TO candlegraph_viewer, pg_monitor", POLICIES),
    "a policy for reads only": (
        """DROP POLICY own ON trades;
        CREATE POLICY own ON trades FOR SELECT TO candlegraph_viewer USING (user_id = 1)""",
        POLICIES,
    ),
    "a policy on another column": (
        "ALTER POLICY own ON signals USING (strategy_id = 1) WITH CHECK (strategy_id = 1)",
        POLICIES,
    ),
    "a secret is readable": ("GRANT SELECT (password_hash) ON users TO candlegraph_viewer", PRIVILEGES),
    "a table with secrets is readable": ("GRANT SELECT ON sessions TO candlegraph_viewer", PRIVILEGES),
    "a table with secrets is readable by every role": ("GRANT SELECT ON sessions TO PUBLIC", PRIVILEGES),
    "a column is not readable": ("REVOKE SELECT (name) ON api_keys FROM candlegraph_viewer", PRIVILEGES),
    "a table is not readable": ("REVOKE SELECT ON market_data FROM candlegraph_viewer", PRIVILEGES),
    "a private table is not writable": ("REVOKE INSERT ON alerts FROM candlegraph_viewer", PRIVILEGES),
    "a public table is writable": ("GRANT UPDATE ON models TO candlegraph_viewer", PRIVILEGES),
    "a table is deletable": ("GRANT DELETE ON trades TO candlegraph_viewer", PRIVILEGES),
}
SCRATCH = '''
"""Scratch tables."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import add_owner_v1, drop_owner_v1, protect_table_v1, unprotect_table_v1

revision = "scratch"
down_revision = "@head"


def upgrade() -> None:
    op.create_table("scratch_lists", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True))
    add_owner_v1(op, "scratch_lists", order=["id"], ondelete="CASCADE")
    protect_table_v1(op, "scratch_lists", announced_by="table", owner="user_id", shared_without_owner=True)
    op.create_table(
        "notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("cryptocurrency_id", sa.BigInteger(), sa.ForeignKey("cryptocurrencies.id"), nullable=False),
    )
    protect_table_v1(op, "notes", announced_by="coin")
    op.create_table(
        "devices",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("user_id", sa.BigInteger(), sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=True),
    )
    protect_table_v1(
        op,
        "devices",
        announced_by="table",
        owner="user_id",
        viewer_columns=["id", "user_id"],
        unannounced_columns=["seen"],
    )


def downgrade() -> None:
    op.drop_table("notes")
    for table in ("devices", "scratch_lists"):
        unprotect_table_v1(op, table)
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM scratch_lists")) == 0:
        drop_owner_v1(op, "scratch_lists")
        op.drop_table("scratch_lists")
        op.drop_table("devices")
'''
SCRATCH_LISTS = Access(announced=Announced.BY_TABLE, owned_by="user_id", shared_without_owner=True)
NOTES = Access(announced=Announced.BY_COIN)
DEVICES = Access(
    announced=Announced.BY_TABLE,
    owned_by="user_id",
    viewer_columns=("id", "user_id"),
    unannounced_columns=("seen",),
)


def scratch_tables(**declared: Access) -> list[Table]:
    metadata = MetaData()
    tables = [Table(name, metadata) for name in declared]
    for table in tables:
        declare(table, declared[table.name])
    return tables


async def violations(database: Database, tables: list[Table]) -> dict[str, int]:
    """The checks that the tables of the database do not meet, each with the number of violations."""
    async with database.transaction() as connection:
        counted = {
            what: (await connection.execute(text(query))).scalar_one()
            for what, query in table_checks.checks(tables).items()
        }
    return {what: count for what, count in counted.items() if count}


@pytest.fixture
async def migrated(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A database with the tables of the scratch migration."""
    before = migrate.head()
    (tmp_path / "scratch.py").write_text(SCRATCH.replace("@head", before))
    original = migrate._config

    def config(connection: Connection | None = None) -> Config:
        found = original(connection)
        found.set_main_option("version_locations", f"{migrate.FOLDER / 'versions'}:{tmp_path}")
        return found

    monkeypatch.setattr(migrate, "_config", config)
    await migrate.upgrade(database)
    assert await migrate.current(database) == "scratch"
    yield database
    await migrate.downgrade(database, before)
    assert await database.fetch_value(text("SELECT to_regclass('scratch_lists')")) is None


def test_a_model_declares_its_access() -> None:
    with pytest.raises(AttributeError, match="access"):
        type("Forgotten", (Base,), {"__tablename__": "forgotten", "id": Column(BigInteger, primary_key=True)})
    Base.metadata.remove(Base.metadata.tables["forgotten"])


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=str)
def test_declarations_fit_their_tables(table: Table) -> None:
    access = access_of(table)
    columns = {column.name for column in table.columns}
    assert columns >= {*(access.viewer_columns or ()), *access.unannounced_columns}
    references = {key.column.table.name for key in table.foreign_keys}
    if access.announced is Announced.BY_COIN:
        assert "cryptocurrency_id" in columns
    if access.follows is not None:
        assert access.announced is Announced.NEVER
        assert access.follows in Base.metadata.tables
    if "users" in references:
        assert access.is_private, "it refers to a user: declare owned_by"
    if access.owned_by is not None:
        # Row security compares this column in each query.
        leading = {next(iter(part.columns)).name for part in (*table.indexes, *table.constraints) if len(part.columns)}
        assert access.owned_by in leading


def test_only_tables_without_row_security_have_their_own_columns() -> None:
    """A table with secrets is read by column privileges alone, so its queries must all name the viewer."""
    found = {table.name for table in Base.metadata.sorted_tables if access_of(table).viewer_columns is not None}
    assert found == {"users", "api_keys", "sessions"}


async def test_every_table_is_as_declared(database: Database) -> None:
    assert await violations(database, Base.metadata.sorted_tables) == {}


@pytest.mark.parametrize(("damage", "what"), DAMAGE.values(), ids=list(DAMAGE))
async def test_a_difference_is_found(database: Database, damage: str, what: str) -> None:
    async with database.transaction() as connection:
        for statement in damage.split(";"):
            await connection.execute(text(statement))
    found = [check.condition for check in await maintenance.verify(database) if check.violations]
    assert found == [what]


@pytest.mark.parametrize("table", Base.metadata.sorted_tables, ids=str)
async def test_another_declaration_is_found(database: Database, table: Table) -> None:
    """Each way in which a declaration of this table can be wrong."""
    access = access_of(table)
    other = Announced.BY_COIN if access.announced is not Announced.BY_COIN else Announced.NEVER
    columns = tuple(column.name for column in table.columns)
    wrong = {
        TRIGGERS: replace(access, announced=other),
        POLICIES: replace(
            access, owned_by="created_at" if access.has_row_security else columns[0], viewer_columns=None
        ),
        PRIVILEGES: replace(access, viewer_columns=columns[1:] if access.viewer_columns is None else columns),
    }
    for what, declared in wrong.items():
        assert what in await violations(database, scratch_tables(**{table.name: declared}))


async def test_a_migration_protects_new_tables(migrated: Database) -> None:
    declared = {"scratch_lists": SCRATCH_LISTS, "notes": NOTES, "devices": DEVICES}
    tables = [*Base.metadata.sorted_tables, *scratch_tables(**declared)]
    assert await violations(migrated, tables) == {}
    assert [check for check in await maintenance.verify(migrated) if check.violations] == []


@pytest.mark.parametrize("table", ["scratch_lists", "notes", "devices"])
async def test_a_table_that_is_not_protected_is_found(migrated: Database, table: str) -> None:
    async with migrated.transaction() as connection:
        await connection.run_sync(lambda sync: unprotect_table_v1(Operations(MigrationContext.configure(sync)), table))
    declared = {"scratch_lists": SCRATCH_LISTS, "notes": NOTES, "devices": DEVICES}[table]
    found = await violations(migrated, scratch_tables(**{table: declared}))
    assert found[TRIGGERS] == 4
    assert (POLICIES in found) == declared.has_row_security
    assert (PRIVILEGES in found) == declared.is_private
    bare = Access(announced=Announced.NEVER)
    assert await violations(migrated, scratch_tables(**{table: bare})) == {}


async def test_rows_of_a_protected_table_are_shown_to_their_owner(migrated: Database) -> None:
    async with migrated.transaction() as connection:
        await connection.execute(text("INSERT INTO users (username, password_hash) VALUES ('ann', ''), ('ben', '')"))
        await connection.execute(text("INSERT INTO scratch_lists (user_id) VALUES (1), (2), (NULL)"))
    database = Database(migrated.engine.url, pool_size=1, rls_enabled=True)
    owners = text("SELECT array_agg(user_id ORDER BY user_id) FROM scratch_lists")
    expected = {"1": [1, None], "2": [2, None], row_security.NO_VIEWER: None, row_security.SEES_ALL: [1, 2, None]}
    for viewer, shown in expected.items():
        assert await database.fetch_value(owners, viewer=viewer) == shown
    for written in ("2", "NULL"):
        with pytest.raises(DBAPIError, match="row-level security"):
            async with database.transaction(viewer="1") as connection:
                await connection.execute(text(f"INSERT INTO scratch_lists (user_id) VALUES ({written})"))
    await database.close()
    async with migrated.transaction() as connection:
        await connection.execute(text("DELETE FROM scratch_lists"))


async def test_a_generated_migration_protects_new_tables(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(metadata)
    scratch_lists = Table(
        "scratch_lists",
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
        Column("symbols", ARRAY(Text), nullable=False),
    )
    declare(scratch_lists, replace(SCRATCH_LISTS, shared_without_owner=False))
    folder = shutil.copytree(migrate.FOLDER, tmp_path / "migrations")
    monkeypatch.setattr(migrate, "FOLDER", folder)
    monkeypatch.setattr(migrate, "Base", SimpleNamespace(metadata=metadata))
    await migrate.new_revision(database, "scratch_lists")
    (generated,) = folder.glob("versions/*_scratch_lists.py")
    code = generated.read_text()
    call = "protect_table_v1(op, \"scratch_lists\", announced_by='table', owner='user_id')"
    assert "from migrations.tables import protect_table_v1\n" in code
    assert code.index("create_index") < code.index(call)
    await migrate.upgrade(database)
    assert await violations(database, [scratch_lists]) == {}
    await migrate.check(database)
    await migrate.downgrade(database, "-1")
    assert await database.fetch_value(text("SELECT to_regclass('scratch_lists')")) is None
