"""Identity: who is an administrator, API keys, sessions, and what was answered to a key of idempotency."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_identity"
down_revision = "0003_changes"

# For triggers that fire once a row: PostgreSQL merges equal announcements of a transaction.
ANNOUNCE_ROW = """
CREATE FUNCTION candlegraph_announce_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    PERFORM candlegraph_announce(TG_TABLE_NAME, '{}');
    RETURN NULL;
END
$$
"""

# As those of migration 0003.
TRIGGERS = (
    """CREATE TRIGGER candlegraph_announce_inserts AFTER INSERT ON @table REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
    """CREATE TRIGGER candlegraph_announce_deletes AFTER DELETE ON @table REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
    """CREATE TRIGGER candlegraph_announce_truncation AFTER TRUNCATE ON @table
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()""",
)
UPDATES_OF_SESSIONS = """
CREATE TRIGGER candlegraph_announce_updates AFTER UPDATE ON sessions
    REFERENCING OLD TABLE AS before NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()
"""
# All columns but last_used_at: a key in use writes that each minute, and no answer that is kept need be thrown away for
# it. A trigger that names columns has no transition tables.
UPDATES_OF_API_KEYS = """
CREATE TRIGGER candlegraph_announce_updates
    AFTER UPDATE OF key_id, user_id, name, prefix, key_hash, scopes, expires_at, revoked_at, created_at ON api_keys
    FOR EACH ROW EXECUTE FUNCTION candlegraph_announce_row()
"""


def upgrade() -> None:
    op.add_column("users", sa.Column("is_admin", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("octet_length(key_hash) = 32", name=op.f("ck_api_keys_key_hash")),
        sa.CheckConstraint(
            "cardinality(scopes) > 0 AND scopes <@ ARRAY['READ', 'WRITE', 'ADMIN']", name=op.f("ck_api_keys_scopes")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_api_keys_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_keys_prefix")),
    )
    op.create_index(op.f("ix_api_keys_user_id_key_id"), "api_keys", ["user_id", "key_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("octet_length(token_hash) = 32", name=op.f("ck_sessions_token_hash")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("operation", sa.String(length=100), nullable=False),
        sa.Column("input_hash", sa.LargeBinary(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    _announce_changes()


def _announce_changes() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    op.execute(ANNOUNCE_ROW.replace("@schema", schema))
    for table in ("api_keys", "sessions"):
        for trigger in TRIGGERS:
            op.execute(trigger.replace("@table", table))
    op.execute(UPDATES_OF_SESSIONS)
    op.execute(UPDATES_OF_API_KEYS)


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("sessions")
    op.drop_table("api_keys")
    op.drop_column("users", "is_admin")
    op.execute("DROP FUNCTION candlegraph_announce_row()")
