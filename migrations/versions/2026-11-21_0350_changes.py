"""Triggers that announce changes: whoever listens on the channel candlegraph hears what a transaction has touched.

docs/decisions/0009 explains them. Rollups follow the candles, and are not announced themselves.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003_changes"
down_revision = "0002_rollups"

OF_COINS = ("market_data", "predictions", "signals", "trades", "sentiment_data")
OF_NO_COIN = ("models", "trading_strategies", "alerts", "users")

# coins null: of any coin. A payload must be shorter than 8,000 bytes. PostgreSQL itself merges equal ones of a
# transaction, and delivers them when it is committed.
ANNOUNCE = """
CREATE FUNCTION candlegraph_announce(relation text, coins text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(coins) > 100 OR octet_length(to_json(coins)::text) > 7500 THEN
        coins := NULL;
    END IF;
    PERFORM pg_notify('candlegraph', json_build_object(
        'xid', pg_current_xact_id()::text, 'table', relation, 'coins', coins
    )::text);
END
$$
"""

ANNOUNCE_ROWS = """
CREATE FUNCTION candlegraph_announce_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM changed) THEN
        PERFORM candlegraph_announce(TG_TABLE_NAME, '{}');
    END IF;
    RETURN NULL;
END
$$
"""

# A coin that was renamed is announced by both names.
ANNOUNCE_COINS = """
CREATE FUNCTION candlegraph_announce_coins() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
DECLARE
    coins text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT symbol COLLATE "C") INTO coins
        FROM (SELECT symbol FROM before UNION ALL SELECT symbol FROM changed) AS touched;
    ELSE
        SELECT array_agg(DISTINCT symbol COLLATE "C") INTO coins FROM changed;
    END IF;
    IF coins IS NOT NULL THEN
        PERFORM candlegraph_announce(TG_TABLE_NAME, coins);
    END IF;
    RETURN NULL;
END
$$
"""

# Somebody may rename a coin while its rows are written, and commit first: then the old symbol would be announced last,
# and what was read by the new one meanwhile would stay. So the symbols are locked until the end of the transaction.
# KEY SHARE is the weakest lock that a rename waits for, because symbol has a unique index; it is what a foreign key
# takes as well, and no other update of a coin waits for it. Of a coin that somebody else is renaming or deleting, the
# symbol is unknown: any coin is announced, rather than to wait for one who may be waiting for the rows.
#
# A coin that is not there was deleted by this transaction, which has announced that, and its rows are gone with it.
ANNOUNCE_ROWS_OF_COINS = """
CREATE FUNCTION candlegraph_announce_rows_of_coins() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
DECLARE
    ids bigint[];
    coins text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT cryptocurrency_id) INTO ids
        FROM (SELECT cryptocurrency_id FROM before UNION ALL SELECT cryptocurrency_id FROM changed) AS touched;
    ELSE
        SELECT array_agg(DISTINCT cryptocurrency_id) INTO ids FROM changed;
    END IF;
    IF cardinality(ids) <= 100 THEN
        SELECT CASE WHEN count(*) = count(locked.id)
            THEN coalesce(array_agg(locked.symbol ORDER BY locked.symbol COLLATE "C"), '{}') END
        INTO coins
        FROM cryptocurrencies c LEFT JOIN (
            SELECT id, symbol FROM cryptocurrencies WHERE id = ANY (ids) ORDER BY id FOR KEY SHARE SKIP LOCKED
        ) AS locked ON locked.id = c.id
        WHERE c.id = ANY (ids);
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM candlegraph_announce(TG_TABLE_NAME, coins);
    END IF;
    RETURN NULL;
END
$$
"""

ANNOUNCE_TRUNCATION = """
CREATE FUNCTION candlegraph_announce_truncation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    PERFORM candlegraph_announce(TG_TABLE_NAME, NULL);
    RETURN NULL;
END
$$
"""

# By their names they fire before those that roll candles up.
TRIGGERS = (
    """CREATE TRIGGER candlegraph_announce_inserts AFTER INSERT ON @table REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_@what()""",
    """CREATE TRIGGER candlegraph_announce_updates AFTER UPDATE ON @table
        REFERENCING OLD TABLE AS before NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_@what()""",
    """CREATE TRIGGER candlegraph_announce_deletes AFTER DELETE ON @table REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_@what()""",
    """CREATE TRIGGER candlegraph_announce_truncation AFTER TRUNCATE ON @table
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_announce_truncation()""",
)


def upgrade() -> None:
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    for function in (ANNOUNCE, ANNOUNCE_ROWS, ANNOUNCE_COINS, ANNOUNCE_ROWS_OF_COINS, ANNOUNCE_TRUNCATION):
        op.execute(function.replace("@schema", schema))
    announced = {"cryptocurrencies": "coins"}
    announced |= dict.fromkeys(OF_COINS, "rows_of_coins") | dict.fromkeys(OF_NO_COIN, "rows")
    for table, what in announced.items():
        for trigger in TRIGGERS:
            op.execute(trigger.replace("@table", table).replace("@what", what))


def downgrade() -> None:
    for what in ("truncation", "rows_of_coins", "coins", "rows"):
        # The triggers go with it.
        op.execute(f"DROP FUNCTION candlegraph_announce_{what}() CASCADE")
    op.execute("DROP FUNCTION candlegraph_announce(text, text[])")
