"""createAlert and markAlertsRead."""

from typing import Any

from tests.graph.mutations.people import People, Person

CREATE = """mutation($input: CreateAlertInput!) { createAlert(input: $input) {
  userErrors { field message code } alert { id type message isRead timestamp } } }"""
MARK = """mutation($input: MarkAlertsReadInput!) { markAlertsRead(input: $input) {
  userErrors { field message code } marked alerts { id isRead } } }"""
READ = "{ alerts(orderBy: OLDEST_FIRST) { nodes { message isRead } } }"
FIRST = "0001-01-01T00:00:01Z"


async def created(person: Person, message: str = "m", **values: Any) -> str:
    payload = (await person.data(CREATE, input={"type": "SYSTEM", "message": message, **values}))["createAlert"]
    assert payload["userErrors"] == []
    assert payload["alert"]["isRead"] is False
    id_: str = payload["alert"]["id"]
    return id_


async def visible_alerts(person: Person) -> list[tuple[str, bool]]:
    return [(node["message"], node["isRead"]) for node in (await person.data(READ))["alerts"]["nodes"]]


async def test_a_user_sees_own_alerts_and_alerts_for_everyone(all_: People) -> None:
    ann, bob, admin = all_.ann, all_.bob, all_.admin
    await created(ann, "ann's", timestamp=FIRST)
    await created(admin, "all", forEveryone=True)
    assert await visible_alerts(ann) == [("ann's", False), ("all", False)]
    assert await visible_alerts(bob) == [("all", False)]
    assert await visible_alerts(all_.anonymous) == []
    for_everyone = {"type": "SYSTEM", "message": "x", "forEveryone": True}
    assert await ann.errors(CREATE, input=for_everyone) == [("forEveryone", "FORBIDDEN")]


async def test_alerts_are_marked_as_read_once(all_: People) -> None:
    ann, bob = all_.ann, all_.bob
    one, two, his = await created(ann, "1"), await created(ann, "2"), await created(bob, "his")
    everyone = await created(all_.admin, "all", forEveryone=True)
    for marked in (1, 0):
        payload = (await ann.data(MARK, input={"ids": [one, one]}))["markAlertsRead"]
        assert payload["marked"] == marked
        assert {alert["id"]: alert["isRead"] for alert in payload["alerts"]} == {one: True}
    # If one id cannot be marked, none is. Alerts of other users and alerts for everyone count as missing.
    assert await ann.errors(MARK, input={"ids": [two, his]}) == [("ids.1", "NOT_FOUND")]
    assert await ann.errors(MARK, input={"ids": [everyone, two]}) == [("ids.0", "NOT_FOUND")]
    assert await visible_alerts(ann) == [("1", True), ("2", False), ("all", False)]
    payload = (await ann.data(MARK, input={"before": "now+1h"}))["markAlertsRead"]
    assert payload == {"userErrors": [], "marked": 1, "alerts": []}
    assert await visible_alerts(ann) == [("1", True), ("2", True), ("all", False)]
    assert await visible_alerts(bob) == [("his", False), ("all", False)]
    # A caller who sees all alerts can mark all alerts.
    assert (await all_.admin.data(MARK, input={"ids": [his, everyone]}))["markAlertsRead"]["marked"] == 2


async def test_invalid_inputs_are_rejected(all_: People) -> None:
    ann = all_.ann
    invalid: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
        (CREATE, {"type": "SYSTEM", "message": ""}, [("message", "INVALID_TEXT")]),
        (CREATE, {"type": "SYSTEM", "message": "a\0"}, [("message", "INVALID_TEXT")]),
        (CREATE, {"type": "SYSTEM", "message": "m" * 2_001}, [("message", "INVALID_TEXT")]),
        (
            CREATE,
            {"type": "SYSTEM", "message": "m", "timestamp": "0001-01-01T00:00:00Z"},
            [("timestamp", "OUT_OF_RANGE")],
        ),
        (MARK, {}, [("ids", "MISMATCH")]),
        (MARK, {"ids": ["a"], "before": "now"}, [("ids", "MISMATCH")]),
        (MARK, {"ids": []}, [("ids", "TOO_MANY_IDS")]),
        (MARK, {"ids": ["a"] * 101}, [("ids", "TOO_MANY_IDS")]),
        (MARK, {"ids": ["a"]}, [("ids.0", "INVALID_ID")]),
        (MARK, {"ids": ["VHJhZGU6MQ=="]}, [("ids.0", "INVALID_ID")]),
        (MARK, {"ids": ["QWxlcnQ6OTk5OQ=="]}, [("ids.0", "NOT_FOUND")]),
    ]
    for mutation, input_, errors in invalid:
        assert await ann.errors(mutation, input=input_) == errors, input_
    for person, code in ((all_.anonymous, "UNAUTHENTICATED"), (all_.reader, "FORBIDDEN")):
        assert (await person.error(MARK, input={"before": "now"}))["extensions"]["code"] == code
        error = await person.error(CREATE, input={"type": "SYSTEM", "message": "m"})
        assert error["extensions"]["code"] == code
    assert await visible_alerts(all_.admin) == []


async def test_anonymous_callers_in_open_mode_create_and_mark_alerts(anonymous: Person) -> None:
    one, everyone = await created(anonymous, "1"), await created(anonymous, "all", forEveryone=True)
    assert (await anonymous.data(MARK, input={"ids": [one, everyone]}))["markAlertsRead"]["marked"] == 2
    assert await visible_alerts(anonymous) == [("1", True), ("all", True)]
