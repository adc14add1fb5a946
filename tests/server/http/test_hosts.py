"""Names that a server is asked by, where nobody signs in, and addresses that are charged."""

import pytest
from sqlalchemy import URL

from server.http.callers import client_of
from tests.application import Client, serving
from tests.people import SIGNING

OURS = ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "server", "app.localhost:80", "192.168.1.7"]
OTHERS = ["example.com", "example.com:8000", "127.0.0.1.example.com", "localhost.", "[::1].example.com:80"]


@pytest.mark.parametrize(("host", "is_ours"), [*((host, True) for host in OURS), *((host, False) for host in OTHERS)])
async def test_no_other_site_speaks_for_this_machine(client: Client, host: str, is_ours: bool) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"host": host})
    assert response.status_code == (200 if is_ours else 421)
    if not is_ours:
        assert response.json()["errors"][0]["extensions"]["code"] == "MISDIRECTED"


async def test_where_people_sign_in_any_name_will_do(demo_url: URL) -> None:
    async with serving(demo_url, **SIGNING) as client:
        response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"host": "example.com"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.9", "address:203.0.113.9"),
        ("::ffff:203.0.113.9", "address:203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "address:2001:db8:1:2::/64"),
        ("", "address:"),
    ],
)
def test_whom_requests_are_charged_to(host: str, client: str) -> None:
    assert client_of(host) == client
