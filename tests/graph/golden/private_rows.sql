SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT array((
          SELECT "row#"
          FROM (
            SELECT trades_1.trade_type AS side,
              CAST(trim_scale(trades_1.quantity) AS TEXT) AS quantity,
              CAST(trim_scale(trades_1.pnl) AS TEXT) AS pnl
            FROM trades AS trades_1
            WHERE trades_1.user_id = $1::BIGINT
            ORDER BY trades_1.timestamp DESC, trades_1.trade_id DESC
            LIMIT 10
          ) AS "row#"
        )) AS nodes
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 7
-- Depends on: trades
-- Stored: MEDIUM (private)
-- Cost: 11
