"""candlegraph settle: settles predictions now, in addition to the background job."""

from typing import Annotated

import typer

from db import settle as settling
from db.engine import Database
from server.cli.terminal import DataDir, console, run


def settle(
    everything: Annotated[
        bool, typer.Option("--all", help="Check all predictions, not only unsettled ones and those with new candles.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Fill in the actual prices of predictions whose target time has passed."""

    async def work(database: Database) -> int:
        async with database.transaction() as connection:
            return await settling.settle(connection, everything=everything)

    console.print(f"{run(data_dir, work):,} predictions settled")
