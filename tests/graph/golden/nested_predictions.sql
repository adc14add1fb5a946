SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT (
          SELECT "row#"
          FROM (
            SELECT array((
                SELECT "row#"
                FROM (
                  SELECT predictions_1.predicted_price AS "predictedPrice",
                    CASE WHEN (predictions_1.actual_price IS NOT NULL) THEN json_build_object('price', predictions_1.actual_price, 'errorPercent', predictions_1.error) END AS actual,
                    (
                      SELECT "row#"
                      FROM (
                        SELECT array((
                            SELECT "row#"
                            FROM (
                              SELECT signals_1.signal_type AS type,
                                (
                                  SELECT "row#"
                                  FROM (
                                    SELECT array((
                                        SELECT "row#"
                                        FROM (
                                          SELECT trades_1.trade_type AS side,
                                            CAST(trim_scale(trades_1.pnl) AS TEXT) AS pnl
                                          FROM trades AS trades_1
                                          WHERE trades_1.signal_id = signals_1.signal_id
                                          ORDER BY trades_1.timestamp DESC, trades_1.trade_id DESC
                                          LIMIT 2
                                        ) AS "row#"
                                      )) AS nodes
                                  ) AS "row#"
                                ) AS trades
                              FROM signals AS signals_1
                              WHERE signals_1.prediction_id = predictions_1.id
                              ORDER BY signals_1.timestamp DESC, signals_1.signal_id DESC
                              LIMIT 2
                            ) AS "row#"
                          )) AS nodes
                      ) AS "row#"
                    ) AS signals
                  FROM predictions AS predictions_1
                  WHERE predictions_1.cryptocurrency_id = cryptocurrencies_1.id
                  ORDER BY predictions_1.prediction_timestamp DESC, predictions_1.id DESC
                  LIMIT 5
                ) AS "row#"
              )) AS nodes
          ) AS "row#"
        ) AS predictions
      FROM cryptocurrencies AS cryptocurrencies_1
      WHERE cryptocurrencies_1.symbol = upper($1::VARCHAR)
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 'BTC'
-- Depends on: cryptocurrencies:BTC, predictions:BTC, signals, trades
-- Stored: MEDIUM (private)
-- Cost: 57
