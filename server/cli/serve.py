"""candlegraph serve: runs the server."""

import asyncio
from typing import Annotated

import typer
from rich.markup import escape

from graph.schema import create_schema
from server.app import trusted_documents
from server.cli.terminal import DataDir, console
from server.http.examples import EXAMPLES
from server.http.exposure import private_address, resolve_exposure
from server.logging import configure_logging
from server.process.serving import listen, listen_privately, run
from server.process.startup import connected, postgres, prepare
from server.settings import read_settings


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Number of server processes.", min=1, max=64)] = 1,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Load demo data into an empty database.")] = True,
    insecure_open: Annotated[
        bool,
        typer.Option("--insecure-open", help="Serve with AUTH_MODE=open on an address that other machines may reach."),
    ] = False,
) -> None:
    """Serve the API and GraphiQL: starts PostgreSQL if none is configured, migrates, and loads demo data if empty."""
    settings = read_settings(data_dir=data_dir)
    configure_logging(settings.level)
    warnings = resolve_exposure(settings, host, insecure_open=insecure_open)
    private = private_address(settings, port)
    # An invalid list is reported before anything is started.
    trusted_documents(settings, create_schema())
    config, bound = listen(host, port, workers, settings)
    sockets = [bound] if private is None else [bound, listen_privately(*private)]
    console.print("[bold]Candlegraph[/bold]")
    for warning in warnings:
        console.print(f"  [yellow]{escape(warning)}[/yellow]")
    with postgres(settings, console):
        with_demo = demo and settings.environment != "production"
        asyncio.run(connected(settings, lambda database: prepare(database, console, with_demo=with_demo)))
        _print_examples(*bound.getsockname()[:2])
        if private is not None:
            console.print(f"  Health and metrics, without authentication: {_address(*private)}")
        run(config, *sockets)


def _print_examples(host: str, port: int) -> None:
    console.print("  Three example queries:")
    for example in EXAMPLES:
        console.print(example.rstrip(), markup=False, style="dim", soft_wrap=True)
    console.print(f"\n  Ready: [bold]{_address(host, port)}/graphql[/bold] (Ctrl-C stops the server)")


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
