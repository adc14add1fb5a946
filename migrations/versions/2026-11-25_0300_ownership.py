"""Ownership: whose signals and trades are, and walls between the private rows of users.

Signals belong to the user of their strategy, trades to that of their signal, or else to who recorded them. Sessions in
the role candlegraph_viewer see and write the rows of the user that candlegraph.viewer names: an id, 0 for one who sees
all, or nothing for nobody. docs/decisions/0010 explains it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005_ownership"
down_revision = "0004_identity"

ROLE = "candlegraph_viewer"
# What may be seen of those who hold secrets.
OF_USERS = "user_id, username, email, is_active, is_admin, created_at"
OF_KEYS = "key_id, user_id, name, prefix, scopes, expires_at, revoked_at, last_used_at, created_at"

# Roles belong to the whole server: another database may have made it, or be making it.
BY_HAND = f"CREATE ROLE {ROLE} NOLOGIN; GRANT {ROLE} TO %;"
CREATE_ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
        CREATE ROLE {ROLE} NOLOGIN;
    END IF;
    IF NOT pg_has_role('{ROLE}', 'MEMBER') OR current_setting('server_version_num')::int >= 160000 THEN
        EXECUTE format('GRANT {ROLE} TO %I', current_user);
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'The role {ROLE} is missing, and % may not create it. Let an administrator run: {BY_HAND}',
            current_user, quote_ident(current_user);
END
$$
"""

# SECURITY DEFINER: what is true of a strategy does not depend on who may see it.
OWN_SIGNAL = """
CREATE FUNCTION candlegraph_own_signal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    IF NEW.strategy_id IS NOT NULL THEN
        SELECT user_id INTO NEW.user_id FROM trading_strategies WHERE strategy_id = NEW.strategy_id;
    END IF;
    RETURN NEW;
END
$$
"""
OWN_TRADE = """
CREATE FUNCTION candlegraph_own_trade() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    IF NEW.signal_id IS NOT NULL THEN
        NEW.user_id := coalesce((SELECT user_id FROM signals WHERE signal_id = NEW.signal_id), NEW.user_id);
    END IF;
    RETURN NEW;
END
$$
"""

# Of what is there already.
OWNERS = {
    "signals": "UPDATE signals s SET user_id = t.user_id FROM trading_strategies t WHERE t.strategy_id = s.strategy_id",
    "trades": "UPDATE trades t SET user_id = s.user_id FROM signals s WHERE s.signal_id = t.signal_id",
}

VIEWER = "(SELECT nullif(current_setting('candlegraph.viewer', true), '')::bigint)"
OWN = f"{VIEWER} = 0 OR user_id = {VIEWER}"
POLICIES = {
    "trading_strategies": OWN,
    "signals": OWN,
    "trades": OWN,
    # An alert of nobody is for all who are signed in; only who sees all may write one.
    "alerts": f"{OWN} OR (user_id IS NULL AND {VIEWER} IS NOT NULL)",
    # What was answered to a write is kept with it.
    "idempotency_keys": f"{VIEWER} = 0 OR actor = {VIEWER}",
}


def upgrade() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    _add_owners(schema)
    _build_walls(schema)


def downgrade() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    for table in POLICIES:
        op.execute(f"DROP POLICY own ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE SELECT ON TABLES FROM {ROLE}")
    op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {ROLE}")
    # Columns have privileges of their own.
    op.execute(f"REVOKE ALL ({OF_USERS}) ON users FROM {ROLE}")
    op.execute(f"REVOKE ALL ({OF_KEYS}) ON api_keys FROM {ROLE}")
    op.execute(f"REVOKE USAGE ON SCHEMA {schema} FROM {ROLE}")
    for table, singular in (("trades", "trade"), ("signals", "signal")):
        op.execute(f"DROP TRIGGER candlegraph_own ON {table}")
        op.execute(f"DROP FUNCTION candlegraph_own_{singular}()")
        op.drop_index(f"ix_{table}_user_id_timestamp_{singular}_id", table)
        op.drop_column(table, "user_id")


def _add_owners(schema: str) -> None:
    for table, singular, reference in (("signals", "signal", "strategy_id"), ("trades", "trade", "signal_id")):
        op.add_column(table, sa.Column("user_id", sa.BigInteger(), nullable=True))
        # Whoever migrates announces that anything may have changed.
        op.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        op.execute(OWNERS[table])
        op.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        op.create_foreign_key(
            op.f(f"fk_{table}_user_id_users"), table, "users", ["user_id"], ["user_id"], ondelete="SET NULL"
        )
        op.create_index(
            op.f(f"ix_{table}_user_id_timestamp_{singular}_id"), table, ["user_id", "timestamp", f"{singular}_id"]
        )
        op.execute({"signals": OWN_SIGNAL, "trades": OWN_TRADE}[table].replace("@schema", schema))
        op.execute(
            f"CREATE TRIGGER candlegraph_own BEFORE INSERT OR UPDATE OF user_id, {reference} ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION candlegraph_own_{singular}()"
        )


def _build_walls(schema: str) -> None:
    op.execute(CREATE_ROLE)
    op.execute(f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}")
    op.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}")
    op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {ROLE}")
    # Secrets are nobody's to see; what a user may see of itself are columns without them.
    op.execute(f"REVOKE SELECT ON users, api_keys, sessions FROM {ROLE}")
    op.execute(f"GRANT SELECT ({OF_USERS}) ON users TO {ROLE}")
    op.execute(f"GRANT SELECT ({OF_KEYS}) ON api_keys TO {ROLE}")
    for table in POLICIES:
        op.execute(f"GRANT INSERT, UPDATE ON {table} TO {ROLE}")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        checked = OWN if table == "alerts" else POLICIES[table]
        op.execute(f"CREATE POLICY own ON {table} TO {ROLE} USING ({POLICIES[table]}) WITH CHECK ({checked})")
