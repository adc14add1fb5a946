SELECT CAST(to_json((
    SELECT anon_1.row
    FROM (
      SELECT CASE WHEN (anon_2.type_name = $1::VARCHAR) THEN to_json((
          SELECT "row#"
          FROM (
            SELECT CAST(translate(encode(convert_to(concat($2::VARCHAR, cryptocurrencies_1.id), 'UTF8'), 'base64'), E'\n', '') AS TEXT) AS id,
              cryptocurrencies_1.symbol AS symbol,
              (
                SELECT "row#"
                FROM (
                  SELECT anon_3.close AS close
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
                    LIMIT $3::INTEGER
                  ) AS anon_3
                  ORDER BY anon_3.open_time
                ) AS "row#"
              ) AS latest
            FROM cryptocurrencies AS cryptocurrencies_1
            WHERE cryptocurrencies_1.id = anon_2.key
          ) AS "row#"
        )) END AS row
      FROM unnest($4::TEXT[], $5::BIGINT[]) WITH ORDINALITY AS anon_2(type_name, key, place)
      ORDER BY anon_2.place
    ) AS anon_1
  )) AS JSON) AS to_json_1,
  CAST(pg_current_snapshot() AS TEXT) AS pg_current_snapshot_1
-- $1: 'Cryptocurrency'
-- $2: 'Cryptocurrency:'
-- $3: 1
-- $4: ['Cryptocurrency']
-- $5: [1]
-- Depends on: cryptocurrencies, market_data
-- Stored: SHORT (public)
-- Cost: 2
