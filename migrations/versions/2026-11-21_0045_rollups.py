"""Rollups: hours and days, put together from shorter candles, and the triggers that keep them exact.

docs/decisions/0007 explains them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002_rollups"
down_revision = "0001_foundation"

ROLLUPS = ("candle_rollups_h1", "candle_rollups_d1")
VALUES = ("open_price", "high_price", "low_price", "close_price", "volume", "market_cap", "data_source")

# sum() raises an error where a double cannot hold the sum, and such candles could not be stored at all. Here the sum
# becomes infinite, and reading it raises the error.
ADD = """
CREATE FUNCTION candlegraph_add(a double precision, b double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN a <= 1.7976931348623157e308 - b THEN a + b ELSE 'Infinity' END;
END
$$
"""
SUM = """
CREATE AGGREGATE candlegraph_sum(double precision) (
    SFUNC = candlegraph_add, STYPE = double precision, PARALLEL = SAFE
)
"""

# All in the order of the index, so that nothing is sorted.
BUILT = """
    (array_agg(open_price ORDER BY timestamp))[1], max(high_price), min(low_price),
    (array_agg(close_price ORDER BY timestamp))[count(*)], candlegraph_sum(volume ORDER BY timestamp),
    (array_agg(market_cap ORDER BY timestamp))[count(*)],
    CASE WHEN min(data_source) = max(data_source) THEN min(data_source) ELSE 'mixed' END
"""

# The rows of the days are the locks: whoever writes candles of a day holds its row until the end of the transaction,
# and the statements after that see what others have committed. They are taken in one order, and however many there are,
# they fill no table of locks. Hours need none of their own.
#
# A transaction with one snapshot for all its statements does not see what others have committed. So every write leaves
# a new version of the day's row, even where nothing changes, and whoever has an older snapshot fails to serialize: at
# the lock, or where the snapshot still shows a row that is deleted, at its update.
#
# One plan does for one bucket and for a million, on tables that are empty when it is made and large when it is used:
# each bucket is looked up by the index. To plan anew each time takes far longer than to write a candle.
ROLL_UP = """
CREATE FUNCTION candlegraph_roll_up(coins bigint[], buckets timestamptz[], may_be_empty boolean) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    day_coins bigint[];
    days timestamptz[];
BEGIN
    SELECT array_agg(coin ORDER BY coin, day), array_agg(day ORDER BY coin, day) INTO day_coins, days
    FROM (
        SELECT DISTINCT coin, date_bin('1 day', bucket, @origin) AS day
        FROM unnest(coins, buckets) AS touched (coin, bucket)
    ) AS touched;

    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- Fails where a base interval has changed since the snapshot.
        PERFORM FROM cryptocurrencies WHERE id = ANY (day_coins) ORDER BY id FOR SHARE;
    END IF;

    -- Locks the rows that are there, and those that are not come to be: no values stand in them yet.
    INSERT INTO candle_rollups_d1 (
        cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, data_source
    )
    SELECT coin, day, 0, 0, 0, 0, 0, '' FROM unnest(day_coins, days) AS touched (coin, day) ORDER BY coin, day
    ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET data_source = '' WHERE false;

    IF may_be_empty THEN
        DELETE FROM candle_rollups_h1 r
        USING unnest(coins, buckets) AS touched (coin, bucket)
        WHERE r.cryptocurrency_id = coin AND r.timestamp = bucket AND NOT EXISTS (
            SELECT FROM market_data m
            WHERE m.cryptocurrency_id = coin AND m.timestamp >= bucket AND m.timestamp < bucket + interval '1 hour'
        );
    END IF;

    -- Even those of inserted candles may be gone already, if somebody else's trigger took them.
    DELETE FROM candle_rollups_d1 r
    USING unnest(day_coins, days) AS touched (coin, day)
    WHERE r.cryptocurrency_id = coin AND r.timestamp = day AND NOT EXISTS (
        SELECT FROM market_data m
        WHERE m.cryptocurrency_id = coin AND m.timestamp >= day AND m.timestamp < day + interval '1 day'
    );

    INSERT INTO candle_rollups_h1 (cryptocurrency_id, timestamp, @values)
    SELECT coin, bucket, built.*
    FROM unnest(coins, buckets) AS touched (coin, bucket)
    JOIN cryptocurrencies c ON c.id = coin AND c.base_length < interval '1 hour'
    CROSS JOIN LATERAL (
        SELECT @built
        FROM market_data m
        WHERE m.cryptocurrency_id = coin AND m.timestamp >= bucket AND m.timestamp < bucket + interval '1 hour'
        HAVING count(*) > 0
    ) AS built
    ON CONFLICT (cryptocurrency_id, timestamp) DO UPDATE SET (@values) = ROW (@excluded);

    UPDATE candle_rollups_d1 r
    SET (@values) = (
        SELECT @built
        FROM (
            SELECT h.timestamp, @values FROM candle_rollups_h1 h
            WHERE c.base_length < interval '1 hour'
              AND h.cryptocurrency_id = coin AND h.timestamp >= day AND h.timestamp < day + interval '1 day'
            UNION ALL
            SELECT m.timestamp, @values FROM market_data m
            WHERE c.base_length >= interval '1 hour'
              AND m.cryptocurrency_id = coin AND m.timestamp >= day AND m.timestamp < day + interval '1 day'
        ) AS parts
    )
    FROM unnest(day_coins, days) AS touched (coin, day) JOIN cryptocurrencies c ON c.id = coin
    WHERE r.cryptocurrency_id = coin AND r.timestamp = day;
END
$$
"""

# What candles touch: hours where they are shorter than an hour, else days.
TOUCHED = """
    SELECT array_agg(coin ORDER BY coin, bucket), array_agg(bucket ORDER BY coin, bucket) INTO coins, buckets
    FROM (
        SELECT DISTINCT c.id AS coin, date_bin(
            CASE WHEN c.base_length < interval '1 hour' THEN interval '1 hour' ELSE interval '1 day' END,
            m.timestamp, @origin
        ) AS bucket
        FROM @candles m JOIN cryptocurrencies c ON c.id = m.cryptocurrency_id
        WHERE c.base_length < interval '1 day'
    ) AS touched;
"""
BEFORE_AND_AFTER = """(
    SELECT cryptocurrency_id, timestamp FROM before UNION ALL SELECT cryptocurrency_id, timestamp FROM changed
)"""

# The triggers have the rights of the tables' owner: whoever may write candles need know nothing of rollups.
FOLLOW_CANDLES = """
CREATE FUNCTION candlegraph_follow_candles() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
DECLARE
    coins bigint[];
    buckets timestamptz[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        @touched_before_and_after
    ELSE
        @touched_by_change
    END IF;
    IF coins IS NOT NULL THEN
        PERFORM candlegraph_roll_up(coins, buckets, TG_OP <> 'INSERT');
    END IF;
    RETURN NULL;
END
$$
"""

# A truncation that cascades from the coins has emptied the rollups before, and would not let them be truncated again.
FOLLOW_TRUNCATION = """
CREATE FUNCTION candlegraph_follow_truncation() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM candle_rollups_d1) THEN
        TRUNCATE candle_rollups_h1, candle_rollups_d1;
    END IF;
    RETURN NULL;
END
$$
"""

# Which rollups a coin has depends on its base interval.
FOLLOW_BASE_INTERVAL = """
CREATE FUNCTION candlegraph_follow_base_interval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = @schema, pg_temp AS $$
BEGIN
    PERFORM candlegraph_rebuild_rollups(NEW.id);
    RETURN NULL;
END
$$
"""

# It is rare, so whoever writes candles may wait for its end. An older snapshot would miss what others have committed.
REBUILD = """
CREATE FUNCTION candlegraph_rebuild_rollups(of_coin bigint) RETURNS void
LANGUAGE plpgsql SET search_path = @schema, pg_temp AS $$
DECLARE
    coins bigint[];
    buckets timestamptz[];
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = 'rollups are rebuilt, and base intervals changed, in READ COMMITTED only';
    END IF;
    LOCK TABLE market_data IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM candle_rollups_h1 WHERE cryptocurrency_id = of_coin;
    DELETE FROM candle_rollups_d1 WHERE cryptocurrency_id = of_coin;
    @touched_by_coin
    IF coins IS NOT NULL THEN
        PERFORM candlegraph_roll_up(coins, buckets, false);
    END IF;
END
$$
"""

# A trigger for several events can have no transition tables.
TRIGGERS = (
    """CREATE TRIGGER candlegraph_follow_inserts AFTER INSERT ON market_data REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_follow_candles()""",
    """CREATE TRIGGER candlegraph_follow_updates AFTER UPDATE ON market_data
        REFERENCING OLD TABLE AS before NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_follow_candles()""",
    """CREATE TRIGGER candlegraph_follow_deletes AFTER DELETE ON market_data REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_follow_candles()""",
    """CREATE TRIGGER candlegraph_follow_truncation AFTER TRUNCATE ON market_data
        FOR EACH STATEMENT EXECUTE FUNCTION candlegraph_follow_truncation()""",
    """CREATE TRIGGER candlegraph_follow_base_interval AFTER UPDATE OF base_interval ON cryptocurrencies
        FOR EACH ROW WHEN (OLD.base_interval IS DISTINCT FROM NEW.base_interval)
        EXECUTE FUNCTION candlegraph_follow_base_interval()""",
)


def upgrade() -> None:
    for table in ROLLUPS:
        op.create_table(
            table,
            sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
            sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
            *(sa.Column(price, sa.Double(), nullable=False) for price in VALUES[:5]),
            sa.Column("market_cap", sa.Double(), nullable=True),
            sa.Column("data_source", sa.String(length=50), nullable=False),
            sa.ForeignKeyConstraint(
                ["cryptocurrency_id"],
                ["cryptocurrencies.id"],
                name=op.f(f"fk_{table}_cryptocurrency_id_cryptocurrencies"),
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("cryptocurrency_id", "timestamp", name=op.f(f"pk_{table}")),
            # The newest row is written again with each candle: there is room for its next version beside it.
            postgresql_with={"fillfactor": 90},
        )
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    for function in (ADD, SUM, ROLL_UP, REBUILD, FOLLOW_CANDLES, FOLLOW_TRUNCATION, FOLLOW_BASE_INTERVAL):
        op.execute(written(function, schema))
    for trigger in TRIGGERS:
        op.execute(trigger)
    op.execute("SELECT candlegraph_rebuild_rollups(id) FROM cryptocurrencies ORDER BY id")


def written(function: str, schema: str) -> str:
    parts = {
        "@touched_before_and_after": TOUCHED.replace("@candles", BEFORE_AND_AFTER),
        "@touched_by_change": TOUCHED.replace("@candles", "changed"),
        "@touched_by_coin": TOUCHED.replace("@candles", "market_data").replace("WHERE", "WHERE c.id = of_coin AND"),
        "@built": BUILT,
        "@values": ", ".join(VALUES),
        "@excluded": ", ".join(f"excluded.{value}" for value in VALUES),
        "@origin": "timestamptz '0001-01-01 00:00:00+00'",
        "@schema": schema,
    }
    for name, part in parts.items():
        function = function.replace(name, part)
    return function


def downgrade() -> None:
    for function in ("candles", "truncation", "base_interval"):
        # The triggers go with it.
        op.execute(f"DROP FUNCTION candlegraph_follow_{function}() CASCADE")
    op.execute("DROP FUNCTION candlegraph_rebuild_rollups(bigint)")
    op.execute("DROP FUNCTION candlegraph_roll_up(bigint[], timestamptz[], boolean)")
    op.execute("DROP AGGREGATE candlegraph_sum(double precision)")
    op.execute("DROP FUNCTION candlegraph_add(double precision, double precision)")
    for table in reversed(ROLLUPS):
        op.drop_table(table)
