"""The command line of scripts/overload."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.data import FULL
from benchmarks.database import alone, postgres, prepared
from benchmarks.load import require_wrk
from benchmarks.overload import TIMEOUT_SECONDS, Overload, measure, p
from benchmarks.queries import queries
from benchmarks.servers import started

WANTED_RATIO, WANTED_REFUSAL_MS = 0.8, 10
SETTINGS = {"REQUEST_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
COLUMNS = ("", "connections", "peak /s", "4 times as many /s", "ratio", "flood /s", "ratio", "refused /s")
MORE = ("refusal p50 ms", "p99 ms", "answer p99 ms")


def overload(
    only: Annotated[str, typer.Option(help="Queries to ask.", metavar="Q1,Q3")] = "Q1,Q3",
    seconds: Annotated[int, typer.Option(help="Seconds of a measure.", min=1, max=30)] = 3,
    pool_size: Annotated[int, typer.Option(help="Connections to PostgreSQL.", min=1, max=20)] = 8,
) -> None:
    """Send four times what the server can bear, without its cache, and tell what it still answers.

    A goodput of 80% of the peak is wanted, and a refusal within 10 ms. It ends within a minute for each query.
    """
    console = Console()
    require_wrk()
    table = Table(*COLUMNS, *MORE, title="Overload", title_justify="left")
    with alone(), postgres() as server:
        prepared(server, FULL, lambda _what, _share: None)
        with started(["candlegraph"], server.url(FULL), pool_size, settings=SETTINGS) as servers:
            for name in only.split(","):
                query = queries()[name.strip()]
                found = measure(servers["candlegraph"], query, seconds=seconds)
                table.add_row(query.name, *_row(found))
    console.print(table)


def _row(found: Overload) -> list[str]:
    quadruple, flood = found.ratios
    return [
        str(found.connections),
        f"{found.peak.answered:,.0f}",
        f"{found.quadruple.answered:,.0f}",
        f"{quadruple:.2f}",
        f"{found.flood.answered:,.0f}",
        f"{flood:.2f}",
        f"{found.flood.refused:,.0f}",
        p(found.witnessed.refusals, 0.5),
        p(found.witnessed.refusals, 0.99),
        p(found.witnessed.answers, 0.99),
    ]


if __name__ == "__main__":
    typer.run(overload)
