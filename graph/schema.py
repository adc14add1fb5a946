"""Builds the GraphQL schema."""

import strawberry
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, Undefined
from strawberry.schema.config import StrawberryConfig

from graph.compiler.executor import StatementExecutor
from graph.graphql_core_compat import graphql_schema
from graph.mutation import Mutation
from graph.query import Query
from graph.scalars import SCALARS


def create_schema() -> strawberry.Schema:
    config = StrawberryConfig(scalar_map=SCALARS)
    schema = strawberry.Schema(query=Query, mutation=Mutation, config=config, execution_context_class=StatementExecutor)
    _drop_null_defaults(graphql_schema(schema))
    return schema


def _drop_null_defaults(schema: GraphQLSchema) -> None:
    """Optional arguments have a default of None in Python. Without this, the schema would show it as "= null"."""
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
