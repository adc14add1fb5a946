"""Host headers that are accepted with AUTH_MODE=open, and the names of addresses in the rate limiter."""

import pytest
from sqlalchemy import URL

from server.http.callers import client_of
from tests.application import Client, serving
from tests.people import SIGNING

LOCAL = ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "server", "app.localhost:80", "192.168.1.7"]
FOREIGN = ["example.com", "example.com:8000", "127.0.0.1.example.com", "localhost.", "[::1].example.com:80"]


@pytest.mark.parametrize(
    ("host", "is_local"), [*((host, True) for host in LOCAL), *((host, False) for host in FOREIGN)]
)
async def test_foreign_names_are_rejected_with_auth_mode_open(client: Client, host: str, is_local: bool) -> None:
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers={"host": host})
    assert response.status_code == (200 if is_local else 421)
    if not is_local:
        assert response.json()["errors"][0]["extensions"]["code"] == "MISDIRECTED"


async def test_any_name_is_accepted_with_auth_mode_required(demo_url: URL) -> None:
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
def test_an_ipv6_client_owns_a_64_network(host: str, client: str) -> None:
    assert client_of(host) == client
