"""registerModel."""

from typing import Any

from tests.graph.mutations.people import People, Person

REGISTER = """mutation($input: RegisterModelInput!) { registerModel(input: $input) {
  userErrors { field message code }
  model { name version type accuracy precision recall auc trainedAt extra predictions(first: 2) { nodes { id } } }
} }"""
MODEL: dict[str, Any] = {"name": "lstm", "version": "1"}


async def test_a_version_is_registered(ann: Person) -> None:
    shares = {"accuracy": 0.5, "precision": 1.0, "recall": 0.0, "auc": 0.25}
    input_ = {**MODEL, **shares, "type": "net", "trainedAt": "0001-01-01T00:00:01Z", "extra": {"a": [1, None, "é"]}}
    payload = (await ann.data(REGISTER, input=input_))["registerModel"]
    assert payload["userErrors"] == []
    assert payload["model"] == {**input_, "trainedAt": "0001-01-01T00:00:01+00:00", "predictions": {"nodes": []}}
    assert await ann.errors(REGISTER, input={**MODEL, "version": "2"}) == []


INVALID: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"version": "taken"}, [("version", "ALREADY_EXISTS")]),
    ({"name": "", "version": " "}, [("name", "INVALID_TEXT"), ("version", "INVALID_TEXT")]),
    ({"name": "a\0"}, [("name", "INVALID_TEXT")]),
    ({"type": "t" * 51}, [("type", "INVALID_TEXT")]),
    ({"accuracy": 1.01, "auc": -1e308}, [("accuracy", "OUT_OF_RANGE"), ("auc", "OUT_OF_RANGE")]),
    ({"trainedAt": "0001-01-01T00:00:00Z"}, [("trainedAt", "OUT_OF_RANGE")]),
    ({"trainedAt": "9999-12-31T23:59:59.999999Z"}, [("trainedAt", "OUT_OF_RANGE")]),
    ({"extra": [1]}, [("extra", "INVALID_JSON")]),
    ({"extra": "text"}, [("extra", "INVALID_JSON")]),
    ({"extra": {"a": "\0"}}, [("extra", "INVALID_JSON")]),
    ({"extra": {"\0": 1}}, [("extra", "INVALID_JSON")]),
    ({"extra": {"a": "x" * 66_000}}, [("extra", "INVALID_JSON")]),
]


async def test_invalid_inputs_are_rejected_and_nothing_is_written(all_: People) -> None:
    assert await all_.ann.errors(REGISTER, input={**MODEL, "version": "taken"}) == []
    for values, errors in INVALID:
        assert await all_.ann.errors(REGISTER, input={**MODEL, **values}) == errors, values
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        assert (await person.error(REGISTER, input=MODEL))["extensions"]["code"] == code
    assert (await all_.anonymous.data("{ models { totalCount } }"))["models"]["totalCount"] == 1


async def test_an_escaped_backslash_before_u0000_is_not_a_zero_character(ann: Person) -> None:
    r"""\u0000 in JSON is U+0000; \\u0000 is six characters."""
    payload = (await ann.data(REGISTER, input={**MODEL, "extra": {"a": "\\u0000"}}))["registerModel"]
    assert payload["userErrors"] == []
    assert payload["model"]["extra"] == {"a": "\\u0000"}
