"""After any sequence of writes, in any transactions, every rollup equals one aggregated from scratch."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from tests.conftest import TEMPLATE, create_database
from tests.db import scratch
from tests.db.scratch import Connection, assert_exact

COINS = """
INSERT INTO cryptocurrencies (id, symbol, name, base_interval)
VALUES (1, 'MIN', '', 'M1'), (2, 'QRT', '', 'M15'), (3, 'HRS', '', 'H1'), (4, 'DAY', '', 'D1')
ON CONFLICT DO NOTHING
"""
PUT = """
INSERT INTO market_data (
    cryptocurrency_id, timestamp, open_price, high_price, low_price, close_price, volume, market_cap, data_source
)
SELECT DISTINCT ON (at) $1::bigint, at, $3::float8, $3 + n, $3, $3 + n / 2.0, $4::float8, NULLIF(n % 3, 0), $5::text
FROM unnest($2::timestamptz[]) WITH ORDINALITY t (at, n)
ON CONFLICT (cryptocurrency_id, timestamp) DO
"""
UPDATE = """
UPDATE SET open_price = excluded.open_price, high_price = excluded.high_price, low_price = excluded.low_price,
    close_price = excluded.close_price, volume = excluded.volume, data_source = excluded.data_source
"""
START = datetime(2025, 1, 5, 22, tzinfo=UTC)
WHERE = "WHERE cryptocurrency_id = $1 AND timestamp >= $2 AND timestamp < $3"
# Raised in a transaction of the wrong isolation level, and for a key that exists.
REJECTED = (asyncpg.UniqueViolationError, asyncpg.FeatureNotSupportedError, asyncpg.ForeignKeyViolationError)

coins = st.integers(1, 4)
# A few hours around two midnights; minutes often repeat.
instants = st.integers(0, 29 * 12).map(lambda fives: START + fives * 5 * scratch.MINUTE)
volumes = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1e-9, 12345.678, 1e308])
puts = st.tuples(
    st.sampled_from([f"{PUT} NOTHING", f"{PUT} {UPDATE}"]),
    coins,
    st.lists(instants, min_size=1, max_size=12),
    st.integers(1, 9),
    volumes,
    st.sampled_from(["a", "b", "mixed"]),
)
spans = st.tuples(coins, instants, instants).map(lambda span: (span[0], *sorted(span[1:])))
changes = st.tuples(
    st.sampled_from(
        [
            f"UPDATE market_data SET close_price = low_price, volume = volume / 7 {WHERE}",
            f"UPDATE market_data SET timestamp = timestamp + interval '55 minutes' {WHERE}",
            f"UPDATE market_data SET cryptocurrency_id = 1 + cryptocurrency_id % 4 {WHERE}",
            f"UPDATE market_data SET cryptocurrency_id = 1, timestamp = timestamp - interval '1 day' {WHERE}",
            f"DELETE FROM market_data {WHERE}",
            f"DELETE FROM market_data {WHERE}",
        ]
    ),
    spans,
).map(lambda change: (change[0], *change[1]))
rare = st.sampled_from(
    [
        ("TRUNCATE market_data",),
        ("DELETE FROM cryptocurrencies WHERE id = 1",),
        ("UPDATE cryptocurrencies SET base_interval = 'H1' WHERE id = 1",),
        ("UPDATE cryptocurrencies SET base_interval = 'M15' WHERE id IN (1, 3)",),
        ("UPDATE cryptocurrencies SET base_interval = 'D1' WHERE id = 2",),
        (COINS,),
    ]
)
statements = st.one_of(puts, puts, puts, puts, changes, changes, rare)
transactions = st.tuples(
    st.sampled_from(["read_committed", "read_committed", "repeatable_read", "serializable"]),
    st.lists(statements, min_size=1, max_size=4),
    st.sampled_from(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]),
)


@pytest.fixture(scope="module")
def runner(postgres: URL, template: URL) -> Iterator[tuple[asyncio.Runner, Connection]]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        url = runner.run(create_database(postgres, "rollups_property", template=TEMPLATE))
        connection = runner.run(scratch.connect(url))
        yield runner, connection
        runner.run(connection.close())


@settings(max_examples=35, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sequence=st.lists(transactions, min_size=1, max_size=6))
def test_any_sequence_of_writes(runner: tuple[asyncio.Runner, Connection], sequence: list[Any]) -> None:
    loop, connection = runner
    loop.run(_write(connection, sequence))


async def _write(connection: Connection, sequence: list[Any]) -> None:
    await connection.execute(f"ROLLBACK; TRUNCATE cryptocurrencies CASCADE; {COINS}")
    for isolation, changes, end in sequence:
        await connection.execute(f"BEGIN ISOLATION LEVEL {isolation.replace('_', ' ')}")
        for change in changes:
            await connection.execute("SAVEPOINT here")
            try:
                await connection.execute(*change)
            except REJECTED:
                await connection.execute("ROLLBACK TO SAVEPOINT here")
        await connection.execute(end)
        await assert_exact(connection)
