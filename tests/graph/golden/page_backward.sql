SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT coalesce(json_agg(json_build_object('cursor', translate(encode(convert_to(concat_ws('|', $1::VARCHAR, CAST(EXTRACT(epoch FROM anon_1.timestamp) * $2::INTEGER AS BIGINT), anon_1.signal_id), 'UTF8'), 'base64'), E'\n', ''), 'node', json_build_object('type', anon_1.signal_type)) ORDER BY -anon_1.page_position) FILTER (WHERE anon_1.page_position <= $3::BIGINT), '[]'::json) AS edges,
        json_build_object('hasPreviousPage', count(anon_1.page_position) > $3::BIGINT, 'startCursor', (array_agg(translate(encode(convert_to(concat_ws('|', $4::VARCHAR, CAST(EXTRACT(epoch FROM anon_1.timestamp) * $5::INTEGER AS BIGINT), anon_1.signal_id), 'UTF8'), 'base64'), E'\n', '') ORDER BY -anon_1.page_position) FILTER (WHERE anon_1.page_position <= $3::BIGINT))[$6::INTEGER]) AS "pageInfo"
      FROM (
        SELECT signals_1.signal_id AS signal_id,
          signals_1.cryptocurrency_id AS cryptocurrency_id,
          signals_1.user_id AS user_id,
          signals_1.strategy_id AS strategy_id,
          signals_1.model_id AS model_id,
          signals_1.prediction_id AS prediction_id,
          signals_1.signal_type AS signal_type,
          signals_1.confidence AS confidence,
          signals_1.timestamp AS timestamp,
          signals_1.extra_data AS extra_data,
          signals_1.created_at AS created_at,
          row_number() OVER (ORDER BY signals_1.timestamp ASC, signals_1.signal_id ASC) AS page_position
        FROM signals AS signals_1
        WHERE (signals_1.timestamp, signals_1.signal_id) > ($7::TIMESTAMP WITH TIME ZONE, $8::BIGINT)
        ORDER BY signals_1.timestamp ASC, signals_1.signal_id ASC
        LIMIT $3::BIGINT + $9::BIGINT
      ) AS anon_1
      HAVING true
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 'signals.newest'
-- $2: 1000000
-- $3: 20
-- $4: 'signals.newest'
-- $5: 1000000
-- $6: 1
-- $7: 2026-11-17 23:59:59+00:00
-- $8: 5
-- $9: 1
-- Depends on: signals
-- Stored: MEDIUM (private)
-- Cost: 21
