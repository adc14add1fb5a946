"""The checks of the auditor graphql-cop, in the production profile: none finds a weakness."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import URL

from tests.application import Client, serving
from tests.people import PRODUCTION

TYPENAME = "query cop { __typename }"


@pytest.fixture
async def production(demo_url: URL) -> AsyncIterator[Client]:
    async with serving(demo_url, **PRODUCTION) as client:
        yield client


def is_rejected(answer: dict[str, Any]) -> bool:
    """Whether there is no data, and an error with an expected code."""
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    return answer.get("data") is None and bool(codes) and "INTERNAL_SERVER_ERROR" not in codes


async def test_aliases_cannot_be_overloaded(production: Client) -> None:
    aliases = " ".join(f"alias{number}: __typename" for number in range(101))
    assert is_rejected(await production.ask(f"query cop {{ {aliases} }}"))


async def test_requests_cannot_be_batched(production: Client) -> None:
    answer = await production.post("/graphql", json=[{"query": TYPENAME}] * 10)
    assert answer.status_code == 400
    assert is_rejected(answer.json())


async def test_directives_cannot_be_overloaded(production: Client) -> None:
    answer = await production.ask(f"query cop {{ __typename {'@aa' * 10} }}")
    assert is_rejected(answer)
    # An error for each would show that each was looked at.
    assert len(answer["errors"]) < 10


async def test_introspection_cannot_go_in_circles(production: Client) -> None:
    levels = 4
    selection = "fields { type { " * levels + "name" + " } }" * levels
    assert is_rejected(await production.ask(f"query cop {{ __schema {{ types {{ {selection} }} }} }}"))


async def test_fields_cannot_be_duplicated(production: Client) -> None:
    assert is_rejected(await production.ask(f"query cop {{ {'__typename ' * 500} }}"))


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { directive } }",
        "{ cryptocurrencie { totalCount } }",
        '{ cryptocurrency(symbol: "BTC") { nam } }',
        '{ cryptocurrency(symbo: "BTC") { name } }',
        "query ($a: Cryptocurrencie) { __typename }",
        "{ signals { nodes { ... on Signals { id } } } }",
        "{ signals(orderBy: NEWEST_FIRS) { totalCount } }",
        "{ signals(filter: { symbo: null }) { totalCount } }",
    ],
)
async def test_names_are_not_suggested(production: Client, query: str) -> None:
    answer = await production.post("/graphql", json={"query": query})
    assert is_rejected(answer.json())
    assert "did you mean" not in answer.text.lower()


async def test_variables_get_no_suggestions_either(production: Client) -> None:
    query = """
    query ($filter: SignalFilter, $order: TimeOrder! = NEWEST_FIRST) {
      signals(filter: $filter, orderBy: $order) { totalCount }
    }
    """
    for variables in ({"filter": {"symbo": "BTC"}}, {"order": "NEWEST_FIRS"}):
        answer = await production.post("/graphql", json={"query": query, "variables": variables})
        assert is_rejected(answer.json())
        assert "did you mean" not in answer.text.lower()


async def test_a_get_without_a_preflight_is_rejected(production: Client) -> None:
    answer = await production.get("/graphql", params={"query": TYPENAME})
    assert answer.status_code == 400
    assert is_rejected(answer.json())


@pytest.mark.parametrize("headers", [{}, {"graphql-preflight": "1"}])
async def test_a_get_changes_nothing(production: Client, headers: dict[str, str]) -> None:
    answer = await production.get("/graphql", params={"query": "mutation cop { __typename }"}, headers=headers)
    assert answer.status_code in (400, 405)
    assert is_rejected(answer.json())


@pytest.mark.parametrize("path", ["/", "/graphql", "/graphiql", "/playground", "/console"])
async def test_there_is_no_page_to_play_with(production: Client, path: str) -> None:
    answer = await production.get(path, headers={"accept": "text/html"})
    assert answer.status_code in (404, 406)
    assert not any(word in answer.text.lower() for word in ("graphiql", "playground"))


async def test_the_schema_is_not_shown(production: Client) -> None:
    for query in (
        "query cop { __schema { types { name fields { name } } } }",
        'query cop { __type(name: "Query") { name } }',
        "query cop { ...A } fragment A on Query { a: __schema { queryType { name } } }",
    ):
        assert is_rejected(await production.ask(query))


async def test_tracing_is_not_available(production: Client) -> None:
    for query in (TYPENAME, "query cop { nonsense }"):
        answer = await production.post("/graphql", json={"query": query}, headers={"x-apollo-tracing": "1"})
        assert "tracing" not in answer.text.lower()


async def test_a_form_is_rejected(production: Client) -> None:
    answer = await production.post("/graphql", data={"query": TYPENAME})
    assert answer.status_code == 415
    assert is_rejected(answer.json())


async def test_errors_show_no_internals(production: Client) -> None:
    for query in ("qwerty cop { abc }", "query cop { abc }", "{", "{ node(id: 5) }"):
        answer = await production.post("/graphql", json={"query": query})
        assert is_rejected(answer.json())
        assert not any(word in answer.text.lower() for word in ("exception", "traceback", ".py", "graphql-core"))
