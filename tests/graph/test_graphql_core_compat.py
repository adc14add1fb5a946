"""The private names and behaviour of graphql-core and Strawberry that we use: a test fails if a release changes one."""

import inspect
from typing import Any

import pytest
import strawberry
from graphql import (
    Executor,
    GraphQLError,
    GraphQLField,
    GraphQLSchema,
    GraphQLString,
    VariableValues,
    build_schema,
    execute_sync,
    parse,
    specified_rules,
    validate,
)
from graphql.execution import collect_fields
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema_directive import Location

from graph import graphql_core_compat as compat
from graph.compiler.executor import StatementExecutor
from graph.errors import InputError

# The methods of the library that StatementExecutor overrides.
OVERRIDDEN = [
    name for name in vars(StatementExecutor) if not name.startswith("_") and hasattr(compat.BaseExecutor, name)
]


@strawberry.schema_directive(locations=[Location.OBJECT, Location.FIELD_DEFINITION])
class Marked:
    number: int


@strawberry.type(directives=[Marked(number=1)])
class Book:
    title: str = strawberry.field(metadata={"weight": 3}, directives=[Marked(number=2)])
    pages: int


@strawberry.type
class Query:
    @strawberry.field
    def book(self, language: str = "en") -> Book:
        return Book(title=language, pages=1)


STRAWBERRY = strawberry.Schema(Query)
SCHEMA = compat.graphql_schema(STRAWBERRY)


def field(type_name: str, name: str) -> GraphQLField:
    type_: Any = SCHEMA.type_map[type_name]
    found: GraphQLField = type_.fields[name]
    return found


def executor_of(text: str, **variables: Any) -> Executor[Any]:
    executor = StatementExecutor.build(SCHEMA, parse(text), None, None, variables)
    assert isinstance(executor, StatementExecutor)
    return executor


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_strawberry_has_a_graphql_core_schema() -> None:
    assert isinstance(SCHEMA, GraphQLSchema)
    assert SCHEMA.query_type is not None
    assert compat.graphql_schema(STRAWBERRY) is SCHEMA, "a change of it is a change of the schema that answers"


def test_metadata_of_a_field() -> None:
    assert compat.field_metadata(field("Book", "title")) == {"weight": 3}
    assert compat.field_metadata(field("Book", "pages")) == {}


def test_a_field_without_a_definition_has_no_metadata() -> None:
    assert compat.field_metadata(GraphQLField(GraphQLString)) == {}


def test_schema_directives_of_types_and_fields() -> None:
    assert compat.schema_directives(SCHEMA.type_map["Book"]) == [Marked(number=1)]
    assert compat.schema_directives(field("Book", "title")) == [Marked(number=2)]
    assert not compat.schema_directives(field("Book", "pages"))
    assert not compat.schema_directives(SCHEMA.type_map["String"])


def test_executor_overrides_methods_that_exist() -> None:
    assert sorted(OVERRIDDEN) == [
        "build_per_event_executor",
        "complete_value",
        "execute_field",
        "execute_root_grouped_field_set",
    ]


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_overridden_methods_have_the_parameters_of_the_library(name: str) -> None:
    assert parameters(getattr(StatementExecutor, name)) == parameters(getattr(compat.BaseExecutor, name))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (compat.BaseExecutor.handle_field_error, ["self", "raw_error", "return_type", "field_details_list", "path"]),
        (compat.BaseExecutor.build_resolve_info, ["self", "field_def", "field_nodes", "parent_type", "path"]),
        (compat.BaseExecutor.collect_subfields, ["self", "return_type", "field_details_list"]),
        (
            collect_fields.collect_fields,
            ["schema", "fragments", "variable_values", "runtime_type", "operation", "hide_suggestions"],
        ),
        (VariableValues, ["sources", "coerced"]),
    ],
)
def test_private_functions_have_the_parameters_that_we_pass(function: Any, expected: list[str]) -> None:
    assert parameters(function)[: len(expected)] == expected


def test_selected_fields_are_collected_through_fragments() -> None:
    executor = executor_of("{ b: book { ...F pages @skip(if: true) } } fragment F on Book { t: title }")
    query: Any = SCHEMA.query_type
    roots = compat.root_fields(executor, query)
    assert list(roots) == ["b"]
    book: Any = SCHEMA.type_map["Book"]
    selected = compat.selected_fields(executor, book, roots["b"])
    assert {key: [part.node.name.value for part in parts] for key, parts in selected.items()} == {"t": ["title"]}


def test_a_selection_has_one_list_of_fields_however_often_it_is_collected() -> None:
    """StatementExecutor finds the loader of a selection by the identity of this list."""
    executor = executor_of("{ book { title } }")
    query, book = SCHEMA.type_map["Query"], SCHEMA.type_map["Book"]
    roots = compat.root_fields(executor, query)  # type: ignore[arg-type]
    once, twice = (compat.selected_fields(executor, book, roots["book"]) for _ in range(2))  # type: ignore[arg-type]
    assert once["title"] is twice["title"]


def test_arguments_are_read_from_replaced_variables() -> None:
    executor = executor_of("query($language: String!) { book(language: $language) { title } }", language="en")
    query: Any = SCHEMA.query_type
    (details,) = compat.root_fields(executor, query)["book"]
    marker = object()
    compat.replace_variable_values(executor, {"language": marker})
    assert compat.argument_values(executor, query.fields["book"], details) == {"language": marker}


def test_resolve_info_of_a_field() -> None:
    executor = executor_of("{ book { title } }")
    query: Any = SCHEMA.query_type
    (details,) = compat.root_fields(executor, query)["book"]
    path = compat.Path(None, "book", "Query")
    info = compat.build_resolve_info(executor, query.fields["book"], [details.node], query, path)
    assert (info.field_name, info.path, info.schema) == ("book", path, SCHEMA)


@pytest.mark.parametrize(
    ("text", "limits"), [("{ a b c d }", {"max_tokens": 3}), ("# one\n# two\n{ a }", {"max_comments": 1})]
)
def test_a_document_that_is_too_long_is_recognized(text: str, limits: dict[str, int]) -> None:
    with pytest.raises(GraphQLError) as raised:
        parse(text, **limits)  # type: ignore[arg-type]
    assert compat.is_document_too_long(raised.value)


def test_another_syntax_error_is_not_a_document_that_is_too_long() -> None:
    with pytest.raises(GraphQLError) as raised:
        parse("{")
    assert not compat.is_document_too_long(raised.value)


def test_a_spent_comparison_budget_aborts_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlapping_fields_can_be_merged, "MAX_COMPLEXITY_BUDGET", 500_000)
    document = parse(f"{{ book {{ {'title ' * 100} }} }}")
    assert validate(SCHEMA, document) == []
    compat.limit_field_comparisons(10)
    (error,) = validate(SCHEMA, document)
    assert compat.is_validation_aborted(error)


def test_too_many_errors_are_not_a_spent_budget() -> None:
    errors = validate(SCHEMA, parse("{ a b c }"), specified_rules, max_errors=1)
    assert len(errors) == 2
    assert not any(map(compat.is_validation_aborted, errors))


def test_an_error_takes_over_the_extensions_of_its_cause() -> None:
    """graph/errors.py relies on it: extensions of InputError reach the client."""

    def resolve(*_: Any) -> None:
        raise InputError("INVALID_TIME", "not a time", ["from"])

    result = execute_sync(build_schema("type Query { book: String }"), parse("{ book }"), field_resolver=resolve)
    (error,) = result.errors or []
    assert error.extensions == {"code": "INVALID_TIME", "argument": ["from"]}
