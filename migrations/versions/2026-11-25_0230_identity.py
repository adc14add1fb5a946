"""Identity: administrators, API keys, sessions, and the answers to writes that may be sent twice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_identity"
down_revision = "0003_changes"

# As in 0003. An update of an API key is announced by its columns instead: its last use is nobody's news, and there is
# one a minute.
TRIGGERS = {
    "inserts": """AFTER INSERT ON @table REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
    "updates": """AFTER UPDATE ON @table REFERENCING OLD TABLE AS before NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
    "deletes": """AFTER DELETE ON @table REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_rows()""",
    "truncation": """AFTER TRUNCATE ON @table FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()""",
}
OF_KEYS = """AFTER UPDATE OF user_id, name, prefix, key_hash, scopes, expires_at, revoked_at ON @table
    FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()"""


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
    op.create_index(op.f("ix_api_keys_user_id_key_id"), "api_keys", ["user_id", "key_id"])
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
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
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    for table in ("api_keys", "sessions"):
        for event, trigger in TRIGGERS.items():
            sql = OF_KEYS if (table, event) == ("api_keys", "updates") else trigger
            op.execute(f"CREATE TRIGGER candlegraph_announce_{event} {sql.replace('@table', table)}")


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("sessions")
    op.drop_table("api_keys")
    op.drop_column("users", "is_admin")
