"""Mutations: payloads show the rows that queries show, and no principal changes rows of another."""

from collections.abc import Awaitable, Callable

import pytest
from graphql import GraphQLSchema, get_named_type
from sqlalchemy import URL

from graph.identity.passwords import Passwords
from tests.application import serving
from tests.server.privacy.documents import id_of, selection_of
from tests.server.privacy.visibility import PRIVATE, all_ids, fetch, shown_in, table_of, visible_to
from tests.server.privacy.world import ANN, BEN, REQUIRED, ROOT, Principal, by_key, by_token

Copies = Callable[[], Awaitable[URL]]
PASSWORD = "a password of the matrix"
# The input with which each mutation succeeds for Ann. @Type: the id of her row; @refresh: the refresh token of login.
CALLS = {
    "addCryptocurrency": '{symbol: "CCC", name: "C", baseInterval: H1}',
    "updateCryptocurrency": '{symbol: "AAA", name: "A"}',
    "recordCandles": '{symbol: "BBB", candles: [{openTime: "2026-01-02T00:00:00Z", open: 1, high: 1, low: 1, close: 1,'
    " volume: 1}]}",
    "registerModel": '{name: "three", version: "1"}',
    "recordPredictions": '{modelName: "one", modelVersion: "1", predictions: [{symbol: "AAA",'
    ' targetAt: "2100-01-01T00:00:00Z", predictedPrice: 1}]}',
    "createStrategy": '{name: "new"}',
    "updateStrategy": '{id: "@Strategy", description: "changed"}',
    "recordSignal": '{symbol: "AAA", type: BUY, strategyId: "@Strategy"}',
    "recordTrade": '{symbol: "AAA", side: BUY, price: "1", quantity: "1", signalId: "@Signal"}',
    "updateTrade": '{id: "@Trade", status: EXECUTED}',
    "createAlert": '{type: TRADE, message: "new"}',
    "markAlertsRead": '{ids: ["@Alert"]}',
    "createApiKey": '{name: "new", scopes: [READ]}',
    "revokeApiKey": '{id: "@ApiKey"}',
    "login": f'{{username: "ann", password: "{PASSWORD}"}}',
    "refresh": '{refreshToken: "@refresh"}',
    "logout": "{}",
}
# A row of each user; the trades are pending ones.
OWN = {
    user_id: {
        "@Strategy": id_of("Strategy", 2 * user_id),
        "@Signal": id_of("Signal", user_id),
        "@Alert": id_of("Alert", user_id),
        "@ApiKey": id_of("ApiKey", key),
        "@Trade": id_of("Trade", 22 + user_id),
    }
    for user_id, key in ((ANN, 1), (BEN, 3), (ROOT, 4))
}
MISSING = {place: id_of(place[1:], 10**9) for place in OWN[ANN]}
OF_OWNED_ROWS = [name for name, given in CALLS.items() if any(place in given for place in OWN[ANN])]
# All rows of private types, as text.
CONTENTS = " UNION ALL ".join(f"SELECT '{table}' || t::text FROM {table} t" for table in map(table_of, PRIVATE))


def called(name: str, owner: int, selection: str, **places: str) -> str:
    given = CALLS[name]
    for place, value in {**OWN[owner], **places}.items():
        given = given.replace(place, value)
    return f"mutation {{ {name}(input: {given}) {{ {selection} }} }}"


def test_every_mutation_is_called(schema: GraphQLSchema) -> None:
    assert schema.mutation_type is not None
    assert set(CALLS) == set(schema.mutation_type.fields)


@pytest.mark.parametrize("principal", [by_token(ANN), by_key(2), by_token(ROOT)], ids=lambda principal: principal.name)
async def test_payloads_show_visible_rows_only(copies: Copies, schema: GraphQLSchema, principal: Principal) -> None:
    """On all paths from a payload, also from public rows to private ones."""
    url = await copies()
    await fetch(url, "UPDATE users SET password_hash = $1", await Passwords().hash(PASSWORD))
    ids = await all_ids(url)
    places = {"@refresh": "none"}
    shown: set[tuple[str, int]] = set()
    assert schema.mutation_type is not None
    async with serving(url, **REQUIRED) as client:
        for name in CALLS:
            selection = selection_of(schema, ids, get_named_type(schema.mutation_type.fields[name].type))
            headers = principal.headers
            answer = await client.post(
                "/graphql", json={"query": called(name, ANN, selection, **places)}, headers=headers
            )
            assert "errors" not in answer.json(), (name, answer.text)
            payload = answer.json()["data"][name]
            assert payload["userErrors"] == [], name
            if name == "login":
                places["@refresh"] = payload["refreshToken"]
            found = shown_in(answer.content)
            assert found <= await visible_to(principal, url), name
            shown |= found
    assert {type_name for type_name, _ in shown} == PRIVATE


@pytest.mark.parametrize("name", OF_OWNED_ROWS)
async def test_rows_of_others_are_not_changed(world_url: URL, name: str) -> None:
    """Not even by an administrator's keys without ADMIN. The error is that for a missing row."""
    before = sorted(await fetch(world_url, CONTENTS))
    async with serving(world_url, **REQUIRED) as client:
        messages = set()
        for principal, owner in ((by_token(BEN), ANN), (by_key(2), BEN), (by_key(5), ANN), (by_key(5), BEN)):
            for places in ({}, MISSING):
                text = called(name, owner, "userErrors { code message field }", **places)
                answer = (await client.post("/graphql", json={"query": text}, headers=principal.headers)).json()
                messages.add(str(answer["data"][name]["userErrors"]))
                assert [error["code"] for error in answer["data"][name]["userErrors"]] == ["NOT_FOUND"], answer
        assert len(messages) == 1
        for principal, code in (
            (Principal("", None, None), "UNAUTHENTICATED"),
            (by_key(1), "FORBIDDEN"),
            (by_key(4), "FORBIDDEN"),
        ):
            text = called(name, ANN, "userErrors { code }")
            answer = (await client.post("/graphql", json={"query": text}, headers=principal.headers)).json()
            assert answer["data"] == {name: None}
            assert answer["errors"][0]["extensions"]["code"] == code
    assert sorted(await fetch(world_url, CONTENTS)) == before
