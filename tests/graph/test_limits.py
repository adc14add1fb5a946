"""Limits on documents, and how little it costs to check them."""

import gc
import time
from itertools import pairwise

import pytest
from graphql import get_introspection_query

from graph.documents import DocumentRejected, read_operation
from graph.graphql_core_compat import graphql_schema
from graph.limits import Limits, Rules
from graph.schema import create_schema

SCHEMA = graphql_schema(create_schema())
HIDING = Rules(shows_schema=False)
# An attack may cost so many times the processor time of an ordinary document, which is measured in the same run. The
# most expensive attacks cost 2.5 times as much; exponential cost exceeds it by orders of magnitude.
MOST_REFERENCES = 5
COIN = '{ cryptocurrency(symbol: "A") { %s } }'


def code_of(text: str, rules: Rules | None = None) -> str | None:
    try:
        read_operation(SCHEMA, text, None, rules=rules or Rules())
    except DocumentRejected as rejection:
        return rejection.code
    return None


def chained(fragments: int) -> str:
    """Fragments that each spread the next one twice."""
    names = [f"F{number}" for number in range(fragments)]
    links = [f"fragment {name} on Cryptocurrency {{ ...{next_} ...{next_} }}" for name, next_ in pairwise(names)]
    return " ".join([COIN % f"...{names[0]}", *links, f"fragment {names[-1]} on Cryptocurrency {{ name }}"])


def nested(depth: int, width: int) -> str:
    """Coins of the signals of coins, each selected several times."""
    inner = "id"
    for level in range(depth):
        coin, signals = f"cryptocurrency {{ {inner} }} ", f"signals {{ nodes {{ {inner} }} }} "
        inner = (signals if level % 2 else coin) * width
    return f"{{ trades {{ nodes {{ {inner} }} }} }}"


def repeated(part: str, times: int) -> str:
    return " ".join(part.format(number) for number in range(times))


TOO_LARGE = {
    "aliases": "{" + repeated("a{}: __typename", 101) + "}",
    "root_fields": "{" + "__typename " * 101 + "}",
    "selections": COIN % ("name " * 201),
    "directives": COIN % repeated("a{}: name @include(if: true) @skip(if: false)", 51),
    "directives_in_one_place": "{ __typename " + "@aa " * 6 + "}",
    "fields": chained(16),
    "fragments": "{ __typename }" + repeated("fragment F{} on Query {{ __typename }}", 101),
    "operations": repeated("query Q{} {{ __typename }}", 21),
    "variables": "query(" + repeated("$v{}: Int", 101) + ") { __typename }",
    "input_fields": "{ signals(filter: { " + repeated("a{}: 1", 51) + " }) { totalCount } }",
    "depth": "{ signals { nodes " + "{ prediction { signals { nodes " * 7 + "{ id }" + " } } }" * 7 + " } }",
}


@pytest.mark.parametrize("limit", TOO_LARGE)
def test_the_limit_that_is_exceeded_is_named(limit: str) -> None:
    name = "Q0" if limit == "operations" else None
    with pytest.raises(DocumentRejected) as rejection:
        read_operation(SCHEMA, TOO_LARGE[limit], name)
    (error,) = rejection.value.errors
    assert rejection.value.code == "QUERY_TOO_LARGE"
    assert error.extensions is not None
    assert error.extensions["limit"] == limit
    assert str(error.extensions["allowed"]) in error.message.replace(",", "")


def test_a_document_at_a_limit_is_valid_and_one_beyond_is_rejected() -> None:
    assert code_of("{" + repeated("a{}: __typename", 100) + "}") is None
    assert code_of(COIN % "name symbol", Rules(Limits(depth=2, fields=3, selections=2))) is None
    assert code_of(COIN % "name symbol", Rules(Limits(depth=1))) == "QUERY_TOO_LARGE"
    assert code_of(COIN % "name symbol", Rules(Limits(fields=2))) == "QUERY_TOO_LARGE"


def test_a_cycle_of_fragments_is_a_validation_error() -> None:
    circle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    assert code_of(circle) == "GRAPHQL_VALIDATION_FAILED"


def test_the_introspection_query_of_graphiql_is_within_the_limits() -> None:
    assert code_of(get_introspection_query(descriptions=True, input_value_deprecation=True)) is None


ATTACKS = {
    "chained fragments": chained(16),
    "many chained fragments": chained(99),
    "fragments without end": chained(1_000),
    "one field with many arguments": COIN % repeated("candles(last: {}) {{ close }}", 190),
    "one field often": COIN % ("candles(last: 1) { close open } " * 180),
    "fields within fields, twice each": nested(7, 2),
    "fields within fields, four times": nested(4, 4),
    "unknown fields": COIN % repeated("symbolnamecreated{}", 199),
    "unknown arguments": "{ cryptocurrency(" + repeated("symbo{}: 1", 600) + ") { name } }",
    "unknown input": "{ signals(filter: { " + repeated("typez{}: 1", 600) + " }) { totalCount } }",
    "unknown enum values": "{ signals(filter: { types: [" + repeated("BUZ{}", 1_900) + "] }) { totalCount } }",
    "unused fragments": "{ __typename }" + repeated("fragment F{} on Query {{ __typename }}", 99),
    "fragments with equal fields": COIN % repeated("...F{}", 90)
    + repeated("fragment F{} on Cryptocurrency {{ name id symbol candles {{ close }} }}", 90),
    "circles of fragments": "{ ...F0 }"
    + " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % 99} ...F{(n + 7) % 99} }}" for n in range(99)),
    "circles of introspection": "{ __schema { types { " + "fields { type { " * 8 + "name" + " } }" * 8 + " } } }",
    "nested lists": "{ nodes(ids: " + "[" * 4_000 + "]" * 4_000 + ") { id } }",
    "nested objects": "{ signals(filter: " + "{ a: " * 2_000 + "1" + " }" * 2_000 + ") { totalCount } }",
    "nested fields": "{" + "a {" * 3_000 + "b" + "}" * 3_000 + "}",
    "comments": "#\n" * 49_000 + "{ __typename }",
    "a long text": '{ cryptocurrency(symbol: "' + "x" * 90_000 + '") { name } }',
    "a long name": "{ " + "x" * 90_000 + " }",
    "tokens without end": "{" + "__typename " * 9_000 + "}",
}


REFERENCE = "{" + repeated('c{}: cryptocurrency(symbol: "A") {{ name symbol candles(last: 1) {{ close }} }}', 20) + "}"


def seconds_of(text: str) -> float:
    """The processor time of reading a document, in this thread: servers of other tests run in others."""
    gc.disable()
    try:
        began = time.thread_time()
        code_of(text)
        return time.thread_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_costs_no_more_than_a_few_ordinary_documents(attack: str) -> None:
    assert code_of(REFERENCE) is None
    # In turns, so that a busy moment of the machine meets both.
    times = [(seconds_of(REFERENCE), seconds_of(ATTACKS[attack])) for _ in range(9)]
    reference, cost = (min(column) for column in zip(*times, strict=True))
    assert cost < MOST_REFERENCES * reference


# Requests to a server that hides the schema.

GUESSES = [
    "{ cryptocurrency }",
    "{ cryptocurrenci }",
    "{ nothing }",
    "{ alerts { nothing } }",
    "{ nothing { nothing } }",
    "{ signals(first: {}) { totalCount } }",
    "{ signals(nothing: 1) { totalCount } }",
    "{ signals(filter: { simbol: 1 }) { totalCount } }",
    "query($x: SignalFilter) { nothing }",
    "query($x: Nothing) { nothing }",
    "{ ... on Signal { id } }",
    "{ ... on Nothing { id } }",
    "{ cryptocurrency alerts strategies nothing trades }",
]


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guessed_name_gets_the_same_error_whether_it_exists_or_not(guess: str) -> None:
    with pytest.raises(DocumentRejected) as rejection:
        read_operation(SCHEMA, guess, None, rules=HIDING)
    assert [(error.message, error.nodes) for error in rejection.value.errors] == [
        ("The document does not fit the schema.", None)
    ]


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_introspection_is_rejected_if_the_schema_is_hidden(query: str) -> None:
    assert code_of(query, HIDING) == "GRAPHQL_VALIDATION_FAILED"
    assert code_of(query) is None


def test_errors_suggest_names_if_the_schema_is_shown() -> None:
    with pytest.raises(DocumentRejected, match="GRAPHQL_VALIDATION_FAILED") as rejection:
        read_operation(SCHEMA, "{ signal { totalCount } }", None)
    assert "Did you mean" in rejection.value.errors[0].message
    assert code_of("{ __typename signals { totalCount } }", HIDING) is None
