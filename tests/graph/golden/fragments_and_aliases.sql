SELECT CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT cryptocurrencies_1.symbol AS symbol,
        (
          SELECT "row#"
          FROM (
            SELECT anon_1.close AS close
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
            ) AS anon_1
            ORDER BY anon_1.open_time
          ) AS "row#"
        ) AS price
      FROM cryptocurrencies AS cryptocurrencies_1
      WHERE cryptocurrencies_1.symbol = upper($2::VARCHAR)
    ) AS "row#"
  )) AS JSON) AS to_json_1,
  CAST(to_json((
    SELECT "row#"
    FROM (
      SELECT cryptocurrencies_2.symbol AS symbol,
        (
          SELECT "row#"
          FROM (
            SELECT anon_2.close AS close
            FROM (
              SELECT market_data_2.timestamp AS open_time,
                market_data_2.open_price AS open,
                market_data_2.high_price AS high,
                market_data_2.low_price AS low,
                market_data_2.close_price AS close,
                market_data_2.volume AS volume,
                market_data_2.market_cap AS market_cap,
                market_data_2.data_source AS source
              FROM market_data AS market_data_2
              WHERE market_data_2.cryptocurrency_id = cryptocurrencies_2.id
              ORDER BY market_data_2.timestamp DESC
              LIMIT $3::INTEGER
            ) AS anon_2
            ORDER BY anon_2.open_time
          ) AS "row#"
        ) AS price,
        cryptocurrencies_2.name AS title
      FROM cryptocurrencies AS cryptocurrencies_2
      WHERE cryptocurrencies_2.symbol = upper($4::VARCHAR)
    ) AS "row#"
  )) AS JSON) AS to_json_2,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 1
-- $2: 'BTC'
-- $3: 1
-- $4: 'ETH'
-- Depends on: cryptocurrencies:BTC, cryptocurrencies:ETH, market_data:BTC, market_data:ETH
-- Stored: SHORT (public)
-- Cost: 4
