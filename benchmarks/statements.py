"""Number of SQL statements per request, counted in the log of PostgreSQL."""

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
# BEGIN, COMMIT and ROLLBACK count too: they are round trips.
STATEMENT = re.compile(rb" LOG:  (?:statement|execute [^:]*): ")
# Only statements that answer a query, not those of the server's background tasks.
READ = re.compile(rb" LOG:  execute [^:]*: SELECT CAST")


@contextmanager
def _logging_statements(postgres: Postgres) -> Iterator[None]:
    def alter_system(change: str) -> None:
        postgres.execute(f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()")
        time.sleep(0.3)  # each backend reloads the settings on its own

    alter_system("SET log_statement = 'all'")
    try:
        yield
    finally:
        alter_system("RESET log_statement")


def count_reads(postgres: Postgres, work: Callable[[], object]) -> int:
    """The number of statements that answer queries while `work` runs."""
    with _logging_statements(postgres), postgres.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        work()
        return len(READ.findall(log.read()))


def count_statements(
    postgres: Postgres, servers: Sequence[Server], queries: Sequence[Query]
) -> dict[str, dict[str, float]]:
    """Statements of one request, by query and server. Each server must have answered the query before."""
    with _logging_statements(postgres):
        return {
            query.name: {
                server.name: _count(postgres, server, query) for server in servers if query.supports(server.name)
            }
            for query in queries
        }


def _count(postgres: Postgres, server: Server, query: Query) -> float:
    # The median, because a server sometimes runs a background statement at the same time.
    return median([_count_once(postgres, server, query, 10_000_000 + number) for number in range(REQUESTS)])


def _count_once(postgres: Postgres, server: Server, query: Query, number: int) -> int:
    with postgres.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        server.send(query, number)
        return len(STATEMENT.findall(log.read()))
