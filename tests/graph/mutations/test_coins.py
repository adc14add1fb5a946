"""addCryptocurrency and updateCryptocurrency."""

from typing import Any

from tests.graph.mutations.people import People, Person

FIELDS = "symbol name coinGeckoId isActive baseInterval latest { close } predictions(first: 1) { totalCount }"
ADD = f"""mutation($input: AddCryptocurrencyInput!) {{ addCryptocurrency(input: $input) {{
  userErrors {{ field message code }} cryptocurrency {{ {FIELDS} }} }} }}"""
UPDATE = ADD.replace("AddCrypto", "UpdateCrypto").replace("addCrypto", "updateCrypto")
READ = '{ cryptocurrency(symbol: "ADA") { name coinGeckoId isActive } }'
ADA: dict[str, Any] = {"symbol": "ada", "name": "Cardano", "baseInterval": "M5", "coinGeckoId": "cardano"}


async def test_a_coin_is_added_and_changed(ann: Person) -> None:
    assert (await ann.data(ADD, input=ADA))["addCryptocurrency"] == {
        "userErrors": [],
        "cryptocurrency": {
            "symbol": "ADA",
            "name": "Cardano",
            "coinGeckoId": "cardano",
            "isActive": True,
            "baseInterval": "M5",
            "latest": None,
            "predictions": {"totalCount": 0},
        },
    }
    payload = (await ann.data(UPDATE, input={"symbol": "Ada", "coinGeckoId": None}))["updateCryptocurrency"]
    assert payload["cryptocurrency"]["name"] == "Cardano"
    assert payload["cryptocurrency"]["coinGeckoId"] is None
    assert await ann.errors(UPDATE, input={"symbol": "ADA", "isActive": False, "name": "A"}) == []
    assert (await ann.data(READ))["cryptocurrency"] == {"name": "A", "coinGeckoId": None, "isActive": False}
    # An input without changes is no error.
    assert await ann.errors(UPDATE, input={"symbol": "ADA"}) == []


INVALID_ADDS: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"symbol": ""}, [("symbol", "INVALID_TEXT")]),
    ({"symbol": "A B"}, [("symbol", "INVALID_TEXT")]),
    ({"symbol": "ß"}, [("symbol", "INVALID_TEXT")]),
    ({"symbol": "A" * 21}, [("symbol", "INVALID_TEXT")]),
    ({"symbol": "A\0"}, [("symbol", "INVALID_TEXT")]),
    ({"symbol": "btc"}, [("symbol", "ALREADY_EXISTS")]),
    ({"name": " "}, [("name", "INVALID_TEXT")]),
    ({"name": "n" * 101, "coinGeckoId": ""}, [("name", "INVALID_TEXT"), ("coinGeckoId", "INVALID_TEXT")]),
    ({"coinGeckoId": "taken"}, [("coinGeckoId", "ALREADY_EXISTS")]),
]
INVALID_UPDATES: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"symbol": "NONE", "name": "x"}, [("symbol", "NOT_FOUND")]),
    ({"symbol": "\0", "name": "x"}, [("symbol", "NOT_FOUND")]),
    ({"symbol": "ETH", "name": None, "isActive": None}, [("name", "INVALID_NULL"), ("isActive", "INVALID_NULL")]),
    ({"symbol": "ETH", "name": "\0"}, [("name", "INVALID_TEXT")]),
    ({"symbol": "ETH", "coinGeckoId": "taken"}, [("coinGeckoId", "ALREADY_EXISTS")]),
]


async def test_invalid_inputs_are_rejected_and_nothing_is_written(ann: Person) -> None:
    assert await ann.errors(UPDATE, input={"symbol": "BTC", "coinGeckoId": "taken"}) == []
    for values, errors in INVALID_ADDS:
        assert await ann.errors(ADD, input={**ADA, **values}) == errors, values
    for values, errors in INVALID_UPDATES:
        assert await ann.errors(UPDATE, input=values) == errors, values
    found = await ann.data("{ cryptocurrencies { nodes { symbol name coinGeckoId } } }")
    assert found["cryptocurrencies"]["nodes"] == [
        {"symbol": "BTC", "name": "Bitcoin", "coinGeckoId": "taken"},
        {"symbol": "ETH", "name": "Ether", "coinGeckoId": None},
    ]


async def test_mutations_of_one_operation_run_in_order(ann: Person) -> None:
    both = """mutation($a: AddCryptocurrencyInput!, $u: UpdateCryptocurrencyInput!) {
      add: addCryptocurrency(input: $a) { cryptocurrency { name } }
      rename: updateCryptocurrency(input: $u) { cryptocurrency { name } }
      again: addCryptocurrency(input: $a) { userErrors { code } cryptocurrency { name } }
    }"""
    assert await ann.data(both, a=ADA, u={"symbol": "ADA", "name": "Second"}) == {
        "add": {"cryptocurrency": {"name": "Cardano"}},
        "rename": {"cryptocurrency": {"name": "Second"}},
        "again": {"userErrors": [{"code": "ALREADY_EXISTS"}], "cryptocurrency": None},
    }


async def test_callers_without_the_scope_write_change_nothing(all_: People) -> None:
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        assert (await person.error(ADD, input=ADA))["extensions"]["code"] == code
        assert (await person.error(UPDATE, input={"symbol": "BTC"}))["extensions"]["code"] == code
    assert (await all_.ann.data(READ))["cryptocurrency"] is None
