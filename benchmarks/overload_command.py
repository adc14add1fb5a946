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

SETTINGS = {"REQUEST_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}


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
    found: dict[str, Overload] = {}
    with alone(), postgres() as server:
        prepared(server, FULL, lambda _what, _share: None)
        with started(["candlegraph"], server.url(FULL), pool_size, settings=SETTINGS) as servers:
            for name in only.split(","):
                query = queries()[name.strip()]
                found[query.name] = measure(servers["candlegraph"], query, seconds=seconds)
    console.print(_table(found))


def _table(found: dict[str, Overload]) -> Table:
    table = Table("", *found, title="Overload", title_justify="left")
    figures = [_figures(one) for one in found.values()]
    for name in figures[0]:
        table.add_row(name, *(each[name] for each in figures))
    return table


def _figures(found: Overload) -> dict[str, str]:
    quadruple, flood = found.ratios
    seen = found.witnessed
    return {
        "connections at the peak": str(found.connections),
        "answered in a second": f"{found.peak.answered:,.0f}",
        "with 4 times the connections": f"{found.quadruple.answered:,.0f}",
        "of the peak": f"{quadruple:.2f}",
        "in a flood": f"{found.flood.answered:,.0f}",
        "of the peak, in a flood": f"{flood:.2f}",
        "refused in a second": f"{found.flood.refused:,.0f}",
        "ms to refuse, p50 and p99": f"{p(seen.refusals, 0.5)}, {p(seen.refusals, 0.99)}",
        "ms to answer, p99": p(seen.answers, 0.99),
    }


if __name__ == "__main__":
    typer.run(overload)
