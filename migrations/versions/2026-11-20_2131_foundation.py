"""Foundation: the tables, and the function by which a statement refuses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_foundation"
down_revision = None

BASE_LENGTH = """CASE base_interval
    WHEN 'M1' THEN interval '60 seconds' WHEN 'M5' THEN interval '300 seconds'
    WHEN 'M15' THEN interval '900 seconds' WHEN 'M30' THEN interval '1800 seconds'
    WHEN 'H1' THEN interval '3600 seconds' WHEN 'H4' THEN interval '14400 seconds'
    WHEN 'D1' THEN interval '86400 seconds' WHEN 'W1' THEN interval '604800 seconds' END"""

# db/refusals.py explains it. VOLATILE, so that the planner never evaluates it beforehand.
REFUSE = """
CREATE FUNCTION candlegraph_refuse(message text, details jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'CG001', MESSAGE = message, DETAIL = details::text;
END
$$
"""


def upgrade() -> None:
    op.execute(REFUSE)
    op.create_table(
        "cryptocurrencies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("symbol", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("coin_gecko_id", sa.String(length=100), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("base_interval", sa.String(length=3), nullable=False),
        sa.Column("base_length", sa.Interval(), sa.Computed(BASE_LENGTH, persisted=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "base_interval IN ('M1', 'M5', 'M15', 'M30', 'H1', 'H4', 'D1', 'W1')",
            name=op.f("ck_cryptocurrencies_base_interval"),
        ),
        sa.CheckConstraint("symbol <> '' AND symbol = upper(symbol)", name=op.f("ck_cryptocurrencies_symbol")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cryptocurrencies")),
        sa.UniqueConstraint("coin_gecko_id", name=op.f("uq_cryptocurrencies_coin_gecko_id")),
        sa.UniqueConstraint("symbol", name=op.f("uq_cryptocurrencies_symbol")),
    )
    op.create_index(
        op.f("ix_cryptocurrencies_symbol_is_active"), "cryptocurrencies", ["symbol", "is_active"], unique=False
    )
    op.create_table(
        "models",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("version", sa.String(length=50), nullable=False),
        sa.Column("model_type", sa.String(length=50), nullable=True),
        sa.Column("accuracy", sa.Double(), nullable=True),
        sa.Column("precision", sa.Double(), nullable=True),
        sa.Column("recall", sa.Double(), nullable=True),
        sa.Column("auc", sa.Double(), nullable=True),
        sa.Column("trained_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("extra_data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("accuracy >= 0 AND accuracy <= 1", name=op.f("ck_models_accuracy")),
        sa.CheckConstraint("auc >= 0 AND auc <= 1", name=op.f("ck_models_auc")),
        sa.CheckConstraint("precision >= 0 AND precision <= 1", name=op.f("ck_models_precision")),
        sa.CheckConstraint("recall >= 0 AND recall <= 1", name=op.f("ck_models_recall")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_models_name_version")),
    )
    op.create_table(
        "users",
        sa.Column("user_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("username", sa.String(length=50), nullable=False),
        sa.Column("email", sa.String(length=100), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_index("uq_users_username", "users", [sa.literal_column("lower(username)")], unique=True)
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("alert_type", sa.String(length=6), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("is_read", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("alert_type IN ('SIGNAL', 'TRADE', 'SYSTEM')", name=op.f("ck_alerts_alert_type")),
        sa.CheckConstraint("isfinite(timestamp)", name=op.f("ck_alerts_timestamp")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_alerts_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alerts")),
    )
    op.create_index(op.f("ix_alerts_timestamp_alert_id"), "alerts", ["timestamp", "alert_id"], unique=False)
    op.create_index(
        op.f("ix_alerts_user_id_is_read_timestamp"), "alerts", ["user_id", "is_read", "timestamp"], unique=False
    )
    op.create_table(
        "market_data",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_price", sa.Double(), nullable=False),
        sa.Column("high_price", sa.Double(), nullable=False),
        sa.Column("low_price", sa.Double(), nullable=False),
        sa.Column("close_price", sa.Double(), nullable=False),
        sa.Column("volume", sa.Double(), nullable=False),
        sa.Column("market_cap", sa.Double(), nullable=True),
        sa.Column("data_source", sa.String(length=50), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("close_price >= 0 AND close_price < 'Infinity'", name=op.f("ck_market_data_close_price")),
        sa.CheckConstraint("high_price >= 0 AND high_price < 'Infinity'", name=op.f("ck_market_data_high_price")),
        sa.CheckConstraint("low_price >= 0 AND low_price < 'Infinity'", name=op.f("ck_market_data_low_price")),
        sa.CheckConstraint("market_cap >= 0 AND market_cap < 'Infinity'", name=op.f("ck_market_data_market_cap")),
        sa.CheckConstraint("open_price >= 0 AND open_price < 'Infinity'", name=op.f("ck_market_data_open_price")),
        sa.CheckConstraint("volume >= 0 AND volume < 'Infinity'", name=op.f("ck_market_data_volume")),
        sa.CheckConstraint(
            "high_price >= greatest(open_price, close_price, low_price)", name=op.f("ck_market_data_high_is_highest")
        ),
        sa.CheckConstraint("isfinite(timestamp)", name=op.f("ck_market_data_timestamp")),
        sa.CheckConstraint("low_price <= least(open_price, close_price)", name=op.f("ck_market_data_low_is_lowest")),
        sa.ForeignKeyConstraint(
            ["cryptocurrency_id"],
            ["cryptocurrencies.id"],
            name=op.f("fk_market_data_cryptocurrency_id_cryptocurrencies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("cryptocurrency_id", "timestamp", name=op.f("pk_market_data")),
    )
    op.create_index(
        op.f("ix_market_data_cryptocurrency_id_created_at"),
        "market_data",
        ["cryptocurrency_id", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_market_data_timestamp"), "market_data", ["timestamp"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("prediction_timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("target_timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("predicted_price", sa.Double(), nullable=False),
        sa.Column("confidence_score", sa.Double(), nullable=True),
        sa.Column("features_used", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("actual_price", sa.Double(), nullable=True),
        sa.Column("error", sa.Double(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("actual_price > 0 AND actual_price < 'Infinity'", name=op.f("ck_predictions_actual_price")),
        sa.CheckConstraint("error > '-Infinity' AND error < 'Infinity'", name=op.f("ck_predictions_error")),
        sa.CheckConstraint(
            "predicted_price >= 0 AND predicted_price < 'Infinity'", name=op.f("ck_predictions_predicted_price")
        ),
        sa.CheckConstraint(
            "confidence_score >= 0 AND confidence_score <= 1", name=op.f("ck_predictions_confidence_score")
        ),
        sa.CheckConstraint(
            "isfinite(prediction_timestamp) AND isfinite(target_timestamp)", name=op.f("ck_predictions_times")
        ),
        sa.CheckConstraint(
            "num_nonnulls(actual_price, error, settled_at) IN (0, 3)", name=op.f("ck_predictions_settled_together")
        ),
        sa.CheckConstraint("target_timestamp > prediction_timestamp", name=op.f("ck_predictions_target_is_later")),
        sa.ForeignKeyConstraint(
            ["cryptocurrency_id"],
            ["cryptocurrencies.id"],
            name=op.f("fk_predictions_cryptocurrency_id_cryptocurrencies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_predictions_model_id_models"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    op.create_index(
        op.f("ix_predictions_cryptocurrency_id_prediction_timestamp_id"),
        "predictions",
        ["cryptocurrency_id", "prediction_timestamp", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_predictions_cryptocurrency_id_target_timestamp_id"),
        "predictions",
        ["cryptocurrency_id", "target_timestamp", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_predictions_model_id_prediction_timestamp_id"),
        "predictions",
        ["model_id", "prediction_timestamp", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_predictions_model_id_target_timestamp_id"),
        "predictions",
        ["model_id", "target_timestamp", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_predictions_prediction_timestamp_id"), "predictions", ["prediction_timestamp", "id"], unique=False
    )
    op.create_index(op.f("ix_predictions_settled_at"), "predictions", ["settled_at"], unique=False)
    op.create_index(
        "ix_predictions_unsettled",
        "predictions",
        ["target_timestamp"],
        unique=False,
        postgresql_where=sa.text("actual_price IS NULL"),
    )
    op.create_table(
        "sentiment_data",
        sa.Column("sentiment_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=50), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("sentiment_score", sa.Double(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("extra_data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("isfinite(timestamp)", name=op.f("ck_sentiment_data_timestamp")),
        sa.CheckConstraint(
            "sentiment_score >= -1 AND sentiment_score <= 1", name=op.f("ck_sentiment_data_sentiment_score")
        ),
        sa.ForeignKeyConstraint(
            ["cryptocurrency_id"],
            ["cryptocurrencies.id"],
            name=op.f("fk_sentiment_data_cryptocurrency_id_cryptocurrencies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sentiment_id", name=op.f("pk_sentiment_data")),
    )
    op.create_index(
        op.f("ix_sentiment_data_cryptocurrency_id_timestamp_sentiment_id"),
        "sentiment_data",
        ["cryptocurrency_id", "timestamp", "sentiment_id"],
        unique=False,
    )
    op.create_index(op.f("ix_sentiment_data_source"), "sentiment_data", ["source"], unique=False)
    op.create_table(
        "trading_strategies",
        sa.Column("strategy_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_trading_strategies_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("strategy_id", name=op.f("pk_trading_strategies")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_trading_strategies_user_id_name")),
    )
    op.create_table(
        "signals",
        sa.Column("signal_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
        sa.Column("strategy_id", sa.BigInteger(), nullable=True),
        sa.Column("model_id", sa.BigInteger(), nullable=True),
        sa.Column("prediction_id", sa.BigInteger(), nullable=True),
        sa.Column("signal_type", sa.String(length=4), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("extra_data", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("signal_type IN ('BUY', 'SELL', 'HOLD')", name=op.f("ck_signals_signal_type")),
        sa.CheckConstraint("confidence >= 0 AND confidence <= 1", name=op.f("ck_signals_confidence")),
        sa.CheckConstraint("isfinite(timestamp)", name=op.f("ck_signals_timestamp")),
        sa.ForeignKeyConstraint(
            ["cryptocurrency_id"],
            ["cryptocurrencies.id"],
            name=op.f("fk_signals_cryptocurrency_id_cryptocurrencies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_signals_model_id_models"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"],
            ["predictions.id"],
            name=op.f("fk_signals_prediction_id_predictions"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["strategy_id"],
            ["trading_strategies.strategy_id"],
            name=op.f("fk_signals_strategy_id_trading_strategies"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_signals")),
    )
    op.create_index(
        op.f("ix_signals_cryptocurrency_id_timestamp_signal_id"),
        "signals",
        ["cryptocurrency_id", "timestamp", "signal_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_signals_model_id_timestamp_signal_id"), "signals", ["model_id", "timestamp", "signal_id"], unique=False
    )
    op.create_index(
        op.f("ix_signals_prediction_id_timestamp_signal_id"),
        "signals",
        ["prediction_id", "timestamp", "signal_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_signals_strategy_id_timestamp_signal_id"),
        "signals",
        ["strategy_id", "timestamp", "signal_id"],
        unique=False,
    )
    op.create_index(op.f("ix_signals_timestamp_signal_id"), "signals", ["timestamp", "signal_id"], unique=False)
    op.create_table(
        "trades",
        sa.Column("trade_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("cryptocurrency_id", sa.BigInteger(), nullable=False),
        sa.Column("signal_id", sa.BigInteger(), nullable=True),
        sa.Column("trade_type", sa.String(length=4), nullable=False),
        sa.Column("price", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=38, scale=18), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("is_paper_trade", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("pnl", sa.Numeric(precision=38, scale=18), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("pnl <> 'NaN'", name=op.f("ck_trades_pnl")),
        sa.CheckConstraint("price > 0 AND price <> 'NaN'", name=op.f("ck_trades_price")),
        sa.CheckConstraint("quantity > 0 AND quantity <> 'NaN'", name=op.f("ck_trades_quantity")),
        sa.CheckConstraint("status IN ('PENDING', 'EXECUTED', 'FAILED')", name=op.f("ck_trades_status")),
        sa.CheckConstraint("trade_type IN ('BUY', 'SELL')", name=op.f("ck_trades_trade_type")),
        sa.CheckConstraint("isfinite(timestamp)", name=op.f("ck_trades_timestamp")),
        sa.ForeignKeyConstraint(
            ["cryptocurrency_id"],
            ["cryptocurrencies.id"],
            name=op.f("fk_trades_cryptocurrency_id_cryptocurrencies"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["signal_id"], ["signals.signal_id"], name=op.f("fk_trades_signal_id_signals"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("trade_id", name=op.f("pk_trades")),
    )
    op.create_index(
        op.f("ix_trades_cryptocurrency_id_timestamp_trade_id"),
        "trades",
        ["cryptocurrency_id", "timestamp", "trade_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_trades_signal_id_timestamp_trade_id"), "trades", ["signal_id", "timestamp", "trade_id"], unique=False
    )
    op.create_index(op.f("ix_trades_timestamp_trade_id"), "trades", ["timestamp", "trade_id"], unique=False)


def downgrade() -> None:
    op.drop_table("trades")
    op.drop_table("signals")
    op.drop_table("trading_strategies")
    op.drop_table("sentiment_data")
    op.drop_table("predictions")
    op.drop_table("market_data")
    op.drop_table("alerts")
    op.drop_table("users")
    op.drop_table("models")
    op.drop_table("cryptocurrencies")
    op.execute("DROP FUNCTION candlegraph_refuse(text, jsonb)")
