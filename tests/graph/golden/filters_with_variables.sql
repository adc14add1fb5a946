SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT array((
          SELECT "row#"
          FROM (
            SELECT signals_1.signal_type AS type,
              signals_1.confidence AS confidence,
              signals_1.timestamp AS timestamp
            FROM signals AS signals_1
            WHERE signals_1.cryptocurrency_id = (
              SELECT cryptocurrencies_1.id
              FROM cryptocurrencies AS cryptocurrencies_1
              WHERE cryptocurrencies_1.symbol = upper($1::VARCHAR)
            ) AND signals_1.signal_type = ANY ($2::TEXT[]) AND signals_1.confidence >= $3::FLOAT
            ORDER BY signals_1.timestamp DESC, signals_1.signal_id DESC
            LIMIT 10
          ) AS "row#"
        )) AS nodes
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 'BTC'
-- $2: ['BUY', 'SELL']
-- $3: 0.5
-- Depends on: cryptocurrencies:BTC, signals:BTC
-- Stored: MEDIUM (private)
-- Cost: 11
