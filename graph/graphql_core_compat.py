"""All names and behaviour of graphql-core and Strawberry that are not their public API, behind plain functions.

No other module uses them; graph/compiler/executor.py overrides methods of BaseExecutor. If a release of either library
changes one of them, tests/graph/test_graphql_core_compat.py fails.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import strawberry
from graphql import (
    Executor,
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    VariableValues,
    get_argument_values,
)
from graphql.execution.collect_fields import FieldDetails, FieldDetailsList, GroupedFieldSet, collect_fields
from graphql.pyutils import Path
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

__all__ = [
    "BaseExecutor",
    "FieldDetails",
    "FieldDetailsList",
    "GroupedFieldSet",
    "Path",
    "argument_values",
    "build_resolve_info",
    "field_metadata",
    "graphql_schema",
    "is_document_too_long",
    "is_validation_aborted",
    "limit_field_comparisons",
    "replace_variable_values",
    "root_fields",
    "schema_directives",
    "selected_fields",
]

# Executors of Strawberry's resolvers derive from it; Strawberry exports it from no package.
BaseExecutor = StrawberryGraphQLCoreExecutionContext
# graphql-core has no error class or code for a text with too many tokens or comments.
TOO_LONG = "Syntax Error: Document contains more than"
# Where a work budget is spent, the error's class is not exported, and is also that of "too many errors".
ABORTED = "Validation aborted."

_DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF
_NO_METADATA: Mapping[str, Any] = {}


def graphql_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """The schema as graphql-core has it: Strawberry has no public name for it."""
    return schema._schema


def field_metadata(field: GraphQLField) -> Mapping[str, Any]:
    """The metadata of strawberry.field: the way back from a GraphQL field to its definition is not documented."""
    definition = field.extensions.get(_DEFINITION)
    # Fields of introspection have no definition.
    return getattr(definition, "metadata", _NO_METADATA)


def schema_directives(element: GraphQLField | GraphQLNamedType) -> Sequence[object]:
    """The schema directives of a field or a type: graphql-core's elements do not hold those of Strawberry."""
    return getattr(element.extensions.get(_DEFINITION), "directives", None) or ()


def root_fields(executor: Executor[Any], root_type: GraphQLObjectType) -> GroupedFieldSet:
    """The root fields by response key, fragments and @skip applied: graphql-core exports no function that collects."""
    return collect_fields(
        executor.schema, executor.fragments, executor.variable_values, root_type, executor.operation
    ).grouped_field_set


def selected_fields(
    executor: Executor[Any], object_type: GraphQLObjectType, fields: FieldDetailsList
) -> GroupedFieldSet:
    """The fields selected below some fields, by response key: the method is marked as private."""
    return executor.collect_subfields(object_type, fields).grouped_field_set


def build_resolve_info(
    executor: Executor[Any], field: GraphQLField, nodes: list[FieldNode], parent_type: GraphQLObjectType, path: Path
) -> GraphQLResolveInfo[Any]:
    """The info argument of a resolver: the method is marked as private."""
    return executor.build_resolve_info(field, nodes, parent_type, path)


def argument_values(executor: Executor[Any], field: GraphQLField, details: FieldDetails) -> dict[str, Any]:
    """The coerced arguments of a selected field: those in fragments with variables need a private attribute."""
    return get_argument_values(field, details.node, executor.variable_values, details.fragment_variable_values)


def replace_variable_values(executor: Executor[Any], values: dict[str, Any]) -> None:
    """Execute with these coerced values: an executor can be built from uncoerced values only."""
    executor.variable_values = VariableValues(executor.variable_values.sources, values)


def limit_field_comparisons(budget: int) -> None:
    """Limit the comparisons of fields with one response key, in the whole process: validate() has no option for it."""
    overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = budget


def is_document_too_long(error: GraphQLError) -> bool:
    """Whether parse() stopped at max_tokens or max_comments."""
    return error.message.startswith(TOO_LONG)


def is_validation_aborted(error: GraphQLError) -> bool:
    """Whether validate() stopped because a work budget was spent."""
    return error.message == ABORTED
