SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT (
          SELECT count(*) AS count_1
          FROM signals AS signals_1
        ) AS "totalCount"
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT (
          SELECT count(*) AS count_2
          FROM predictions AS predictions_1
          WHERE predictions_1.actual_price IS NOT NULL
        ) AS "totalCount"
    ) AS "row#"
  )) AS JSON) AS to_json_2,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- Depends on: predictions, signals
-- Stored: MEDIUM (private)
-- Cost: 2
