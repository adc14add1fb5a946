"""What a document may hold, and that finding out is quick."""

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
# Of processor time. The figure that was wanted is 20; where others use the same core, each takes a part of it.
MOST_SECONDS = 0.04
COIN = '{ cryptocurrency(symbol: "A") { %s } }'


def code_of(text: str, rules: Rules | None = None) -> str | None:
    try:
        read_operation(SCHEMA, text, None, rules=rules or Rules())
    except DocumentRejected as refusal:
        return refusal.code
    return None


def chained(fragments: int) -> str:
    """Fragments that each spread the next one twice."""
    names = [f"F{number}" for number in range(fragments)]
    links = [f"fragment {name} on Cryptocurrency {{ ...{next_} ...{next_} }}" for name, next_ in pairwise(names)]
    return " ".join([COIN % f"...{names[0]}", *links, f"fragment {names[-1]} on Cryptocurrency {{ name }}"])


def nested(depth: int, width: int) -> str:
    """Coins of the signals of coins, each asked for several times."""
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
def test_what_is_too_much_is_named(limit: str) -> None:
    name = "Q0" if limit == "operations" else None
    with pytest.raises(DocumentRejected) as refusal:
        read_operation(SCHEMA, TOO_LARGE[limit], name)
    (error,) = refusal.value.errors
    assert refusal.value.code == "QUERY_TOO_LARGE"
    assert error.extensions is not None
    assert error.extensions["limit"] == limit
    assert str(error.extensions["allowed"]) in error.message.replace(",", "")


def test_limits_are_reached_before_they_are_passed() -> None:
    assert code_of("{" + repeated("a{}: __typename", 100) + "}") is None
    assert code_of(COIN % "name symbol", Rules(Limits(depth=2, fields=3, selections=2))) is None
    assert code_of(COIN % "name symbol", Rules(Limits(depth=1))) == "QUERY_TOO_LARGE"
    assert code_of(COIN % "name symbol", Rules(Limits(fields=2))) == "QUERY_TOO_LARGE"


def test_a_circle_of_fragments_is_an_error_and_no_hang() -> None:
    circle = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"
    assert code_of(circle) == "GRAPHQL_VALIDATION_FAILED"


def test_the_query_of_graphiql_fits() -> None:
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


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_costs_little(attack: str) -> None:
    def took() -> float:
        began = time.process_time()
        code_of(ATTACKS[attack])
        return time.process_time() - began

    assert min(took() for _ in range(5)) < MOST_SECONDS


# Where the schema is hidden.

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
def test_who_guesses_learns_nothing(guess: str) -> None:
    with pytest.raises(DocumentRejected) as refusal:
        read_operation(SCHEMA, guess, None, rules=HIDING)
    assert [(error.message, error.nodes) for error in refusal.value.errors] == [
        ("The document does not fit the schema.", None)
    ]


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Query") { name } }'])
def test_the_schema_is_not_told(query: str) -> None:
    assert code_of(query, HIDING) == "GRAPHQL_VALIDATION_FAILED"
    assert code_of(query) is None


def test_where_it_is_shown_people_are_helped() -> None:
    with pytest.raises(DocumentRejected, match="GRAPHQL_VALIDATION_FAILED") as refusal:
        read_operation(SCHEMA, "{ signal { totalCount } }", None)
    assert "Did you mean" in refusal.value.errors[0].message
    assert code_of("{ __typename signals { totalCount } }", HIDING) is None
