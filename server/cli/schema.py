"""candlegraph schema: prints the GraphQL schema."""

import sys

from graph.schema import create_schema


def schema() -> None:
    """Print the GraphQL schema."""
    sys.stdout.write(create_schema().as_str() + "\n")
