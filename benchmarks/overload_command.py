"""The command line of scripts/overload."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.data import FULL
from benchmarks.database import exclusive_run, postgres, prepare_database
from benchmarks.load import require_wrk
from benchmarks.overload import TIMEOUT_SECONDS, Overload, format_percentile, measure
from benchmarks.queries import queries
from benchmarks.servers import started

SETTINGS = {"REQUEST_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}


def overload(
    only: Annotated[str, typer.Option(help="Queries to send.", metavar="Q1,Q3")] = "Q1,Q3",
    seconds: Annotated[int, typer.Option(help="Seconds of a measurement.", min=1, max=30)] = 3,
    pool_size: Annotated[int, typer.Option(help="Connections to PostgreSQL.", min=1, max=20)] = 8,
) -> None:
    """Send four times the peak load of the server, without its cache, and print its throughput.

    Targets: a goodput of 80% of the peak, and rejections within 10 ms. Takes up to a minute for each query.
    """
    console = Console()
    require_wrk()
    results: dict[str, Overload] = {}
    with exclusive_run(), postgres() as server:
        prepare_database(server, FULL, lambda _what, _share: None)
        with started(["candlegraph"], server.url(FULL), pool_size, settings=SETTINGS) as servers:
            for name in only.split(","):
                query = queries()[name.strip()]
                results[query.name] = measure(servers["candlegraph"], query, seconds=seconds)
    console.print(_table(results))


def _table(results: dict[str, Overload]) -> Table:
    table = Table("", *results, title="Overload", title_justify="left")
    figures = [_figures(result) for result in results.values()]
    for name in figures[0]:
        table.add_row(name, *(column[name] for column in figures))
    return table


def _figures(result: Overload) -> dict[str, str]:
    quadruple, flood = result.ratios
    probes = result.probes
    return {
        "connections at the peak": str(result.connections),
        "answered in a second": f"{result.peak.answered:,.0f}",
        "with 4 times the connections": f"{result.quadruple.answered:,.0f}",
        "of the peak": f"{quadruple:.2f}",
        "in a flood": f"{result.flood.answered:,.0f}",
        "of the peak, in a flood": f"{flood:.2f}",
        "rejected in a second": f"{result.flood.rejected:,.0f}",
        "ms to reject, p50 and p99": ", ".join(format_percentile(probes.rejections, share) for share in (0.5, 0.99)),
        "ms to answer, p99": format_percentile(probes.answers, 0.99),
    }


if __name__ == "__main__":
    typer.run(overload)
