SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT cryptocurrencies_1.name AS name,
        CASE WHEN CASE WHEN (interval '3600000000 microseconds' < cryptocurrencies_1.base_length) THEN candlegraph_refuse(concat('The stored candles of '::text, cryptocurrencies_1.symbol, ' are longer than the requested interval: the shortest interval is '::text, cryptocurrencies_1.base_interval, '.'::text), jsonb_build_object('code'::text, 'INTERVAL_TOO_SHORT'::text, 'path'::text, '["cryptocurrency", "candles"]'::jsonb, 'argument'::text, '["interval"]'::jsonb, 'baseInterval'::text, cryptocurrencies_1.base_interval)) ELSE cryptocurrencies_1.base_interval = 'H1'::text END THEN array((
          SELECT "row#"
          FROM (
            SELECT anon_1.open_time AS "openTime",
              anon_1.open AS open,
              anon_1.high AS high,
              anon_1.low AS low,
              anon_1.close AS close,
              anon_1.volume AS volume
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
              LIMIT $1::BIGINT
            ) AS anon_1
            ORDER BY anon_1.open_time
          ) AS "row#"
        )) ELSE array((
          SELECT "row#"
          FROM (
            SELECT anon_2.open_time AS "openTime",
              anon_2.open AS open,
              anon_2.high AS high,
              anon_2.low AS low,
              anon_2.close AS close,
              anon_2.volume AS volume
            FROM (
              SELECT candle_rollups_h1_1.timestamp AS open_time,
                candle_rollups_h1_1.open_price AS open,
                candle_rollups_h1_1.high_price AS high,
                candle_rollups_h1_1.low_price AS low,
                candle_rollups_h1_1.close_price AS close,
                CASE WHEN (candle_rollups_h1_1.volume < 'Infinity'::float8) THEN candle_rollups_h1_1.volume ELSE least(candle_rollups_h1_1.volume, 1.7976931348623157e308::float8) * $2::INTEGER END AS volume,
                candle_rollups_h1_1.market_cap AS market_cap,
                candle_rollups_h1_1.data_source AS source
              FROM candle_rollups_h1 AS candle_rollups_h1_1
              WHERE candle_rollups_h1_1.cryptocurrency_id = cryptocurrencies_1.id
              ORDER BY candle_rollups_h1_1.timestamp DESC
              LIMIT $1::BIGINT
            ) AS anon_2
            ORDER BY anon_2.open_time
          ) AS "row#"
        )) END AS candles
      FROM cryptocurrencies AS cryptocurrencies_1
      WHERE cryptocurrencies_1.symbol = upper($3::VARCHAR)
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 24
-- $2: 2
-- $3: 'BTC'
-- Depends on: cryptocurrencies:BTC, market_data:BTC
-- Stored: SHORT (public)
-- Cost: 4.4
