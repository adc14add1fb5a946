SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT CASE WHEN CASE WHEN (interval '86400000000 microseconds' < cryptocurrencies_1.base_length) THEN candlegraph_refuse(concat('The stored candles of '::text, cryptocurrencies_1.symbol, ' are longer than the requested interval: the shortest interval is '::text, cryptocurrencies_1.base_interval, '.'::text), jsonb_build_object('code'::text, 'INTERVAL_TOO_SHORT'::text, 'path'::text, '["cryptocurrency", "series"]'::jsonb, 'argument'::text, '["interval"]'::jsonb, 'baseInterval'::text, cryptocurrencies_1.base_interval)) ELSE cryptocurrencies_1.base_interval = 'D1'::text END THEN (
          SELECT "row#"
          FROM (
            SELECT anon_1.open_time AS "openTime",
              anon_1.close AS close,
              anon_1.volume AS volume
            FROM (
              SELECT coalesce(array_agg(CAST(EXTRACT(epoch FROM anon_2.open_time) AS DOUBLE PRECISION) ORDER BY anon_2.open_time), '{}'::float8[]) AS open_time,
                coalesce(array_agg(anon_2.open ORDER BY anon_2.open_time), '{}'::float8[]) AS open,
                coalesce(array_agg(anon_2.high ORDER BY anon_2.open_time), '{}'::float8[]) AS high,
                coalesce(array_agg(anon_2.low ORDER BY anon_2.open_time), '{}'::float8[]) AS low,
                coalesce(array_agg(anon_2.close ORDER BY anon_2.open_time), '{}'::float8[]) AS close,
                coalesce(array_agg(anon_2.volume ORDER BY anon_2.open_time), '{}'::float8[]) AS volume
              FROM (
                SELECT market_data_1.timestamp AS open_time,
                  market_data_1.open_price AS open,
                  market_data_1.high_price AS high,
                  market_data_1.low_price AS low,
                  market_data_1.close_price AS close,
                  market_data_1.volume AS volume,
                  market_data_1.market_cap AS market_cap,
                  market_data_1.data_source AS source
                FROM market_data AS market_data_1
                WHERE market_data_1.cryptocurrency_id = cryptocurrencies_1.id
                ORDER BY market_data_1.timestamp DESC
                LIMIT $1::INTEGER
              ) AS anon_2
            ) AS anon_1
          ) AS "row#"
        ) ELSE (
          SELECT "row#"
          FROM (
            SELECT anon_3.open_time AS "openTime",
              anon_3.close AS close,
              anon_3.volume AS volume
            FROM (
              SELECT coalesce(array_agg(CAST(EXTRACT(epoch FROM anon_4.open_time) AS DOUBLE PRECISION) ORDER BY anon_4.open_time), '{}'::float8[]) AS open_time,
                coalesce(array_agg(anon_4.open ORDER BY anon_4.open_time), '{}'::float8[]) AS open,
                coalesce(array_agg(anon_4.high ORDER BY anon_4.open_time), '{}'::float8[]) AS high,
                coalesce(array_agg(anon_4.low ORDER BY anon_4.open_time), '{}'::float8[]) AS low,
                coalesce(array_agg(anon_4.close ORDER BY anon_4.open_time), '{}'::float8[]) AS close,
                coalesce(array_agg(anon_4.volume ORDER BY anon_4.open_time), '{}'::float8[]) AS volume
              FROM (
                SELECT candle_rollups_d1_1.timestamp AS open_time,
                  candle_rollups_d1_1.open_price AS open,
                  candle_rollups_d1_1.high_price AS high,
                  candle_rollups_d1_1.low_price AS low,
                  candle_rollups_d1_1.close_price AS close,
                  CASE WHEN (candle_rollups_d1_1.volume < 'Infinity'::float8) THEN candle_rollups_d1_1.volume ELSE least(candle_rollups_d1_1.volume, 1.7976931348623157e308::float8) * $2::INTEGER END AS volume,
                  candle_rollups_d1_1.market_cap AS market_cap,
                  candle_rollups_d1_1.data_source AS source
                FROM candle_rollups_d1 AS candle_rollups_d1_1
                WHERE candle_rollups_d1_1.cryptocurrency_id = cryptocurrencies_1.id
                ORDER BY candle_rollups_d1_1.timestamp DESC
                LIMIT $3::INTEGER
              ) AS anon_4
            ) AS anon_3
          ) AS "row#"
        ) END AS series
      FROM cryptocurrencies AS cryptocurrencies_1
      WHERE cryptocurrencies_1.symbol = upper($4::VARCHAR)
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 30
-- $2: 2
-- $3: 30
-- $4: 'BTC'
-- Depends on: cryptocurrencies:BTC, market_data:BTC
-- Stored: SHORT (public)
-- Cost: 5
