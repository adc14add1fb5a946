"""How many statements a request costs: PostgreSQL writes each into its log, and they are counted there."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from benchmarks.database import Postgres
from benchmarks.queries import Query
from benchmarks.servers import Server

REQUESTS = 3
# Statements of transactions are round trips too.
STATEMENT = re.compile(rb" LOG:  (?:statement|execute [^:]*): ")
# One that answers a query, whatever else the server does in its background.
READ = re.compile(rb" LOG:  execute [^:]*: SELECT CAST")


@contextmanager
def _logged(postgres: Postgres) -> Iterator[None]:
    def log(change: str) -> None:
        postgres.execute(f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()")
        time.sleep(0.3)  # every backend reads the settings by itself

    log("SET log_statement = 'all'")
    try:
        yield
    finally:
        log("RESET log_statement")


def statements_of(postgres: Postgres, work: Callable[[], object]) -> int:
    """How many statements it takes, from the first to the last."""
    with _logged(postgres), postgres.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        work()
        return len(READ.findall(log.read()))


def count_statements(
    postgres: Postgres, servers: Sequence[Server], queries: Sequence[Query]
) -> dict[str, dict[str, float]]:
    """Statements of one request, by query and server. The servers have answered the query before."""
    with _logged(postgres):
        return {
            query.name: {server.name: _count(postgres, server, query) for server in servers if query.asks(server.name)}
            for query in queries
        }


def _count(postgres: Postgres, server: Server, query: Query) -> float:
    # The median: now and then a server does something of its own beside.
    return median([_of_one(postgres, server, query, 10_000_000 + number) for number in range(REQUESTS)])


def _of_one(postgres: Postgres, server: Server, query: Query, number: int) -> int:
    with postgres.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        server.ask(query, number)
        return len(STATEMENT.findall(log.read()))
