"""The schema: what clients see, and how it is executed."""

import strawberry
from graphql import (
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
)
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graph.compiler.executor import StatementExecutor
from graph.documents import DocumentChecks
from graph.query import Query
from graph.scalars import SCALARS

# A parsed document takes a third of a kilobyte a token: together these hold the caches below half a gigabyte, whatever
# is sent.
CACHED_DOCUMENTS = 128
MAX_TOKENS = 10_000


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing here: expected errors are no news, and graph.errors logs the others where it masks them."""


def create_schema() -> Schema:
    schema = Schema(
        query=Query,
        config=StrawberryConfig(scalar_map=SCALARS),
        execution_context_class=StatementExecutor,
        extensions=[
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: ParserCache(maxsize=CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
            DocumentChecks,
        ],
    )
    _drop_null_defaults(schema._schema)
    return schema


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """An argument that may be left out has a default of None in Python; to clients, "= null" says nothing."""
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            inputs = [*type_.fields.values()]
        elif isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            inputs = [argument for field in type_.fields.values() for argument in field.args.values()]
        else:
            continue
        for input_ in inputs:
            if input_.default_value is None:
                input_.default_value = Undefined
