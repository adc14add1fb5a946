"""Media types: of responses, by negotiation, and of bodies that are accepted."""

import pytest

from tests.application import Client

LEGACY = "application/json"
MODERN = "application/graphql-response+json"
JSON = {"content-type": LEGACY}
QUERY = b'{"query": "{ __typename }"}'


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, LEGACY),
        ("", LEGACY),
        ("*/*", LEGACY),
        ("application/*", LEGACY),
        (LEGACY, LEGACY),
        (MODERN, MODERN),
        ("APPLICATION/GraphQL-Response+JSON", MODERN),
        (f"{MODERN}, {LEGACY};q=0.9", MODERN),
        (f"{LEGACY}, {MODERN}", MODERN),
        (f"{LEGACY}, {MODERN};q=0.5", LEGACY),
        (f"{LEGACY};q=.2, {MODERN};q=0.3", MODERN),
        (f"{LEGACY}, text/plain, */*", LEGACY),
        (f"{MODERN}, */*", MODERN),
        (f"*/*;q=0.1, {MODERN};q=0", LEGACY),
        (f"*/*, {LEGACY};q=0", MODERN),
        (f"multipart/mixed;deferSpec=20220824, {LEGACY}", LEGACY),
        (f"{MODERN}; charset=utf-8, {LEGACY}; charset=utf-8", MODERN),
        (f'{MODERN}; charset="UTF-8"', MODERN),
        (f"{MODERN}; charset=utf-16, {LEGACY}", LEGACY),
        (f"{LEGACY}; charset=latin-1", None),
        (f"{LEGACY};q=0", None),
        (f"{LEGACY};q=nan", None),
        ("text/html", None),
        ("nonsense", None),
        (",;=,", None),
        ("x/y," * 20_000 + LEGACY, None),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_the_type_of_the_answer_is_negotiated(client: Client, accept: str | None, chosen: str | None) -> None:
    request = client.build_request("POST", "/graphql", content=QUERY, headers=JSON)
    del request.headers["accept"]
    if accept is not None:
        request.headers["accept"] = accept
    response = await client.send(request)
    assert response.status_code == (200 if chosen else 406)
    assert response.headers["content-type"] == f"{chosen or LEGACY}; charset=utf-8"
    assert response.headers["vary"] == "Accept, Authorization"
    if chosen is None:
        assert response.json()["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"


async def test_a_header_may_be_repeated(client: Client) -> None:
    headers = [*JSON.items(), ("accept", "text/plain"), ("accept", MODERN)]
    response = await client.post("/graphql", content=QUERY, headers=headers)
    assert response.headers["content-type"].startswith(MODERN)


async def test_a_browser_gets_graphiql_with_queries_that_work(client: Client) -> None:
    assert (await client.get("/", follow_redirects=False)).headers["location"] == "/graphql"
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    response = await client.get("/graphql", headers=browser)
    assert response.headers["vary"] == "Accept"
    assert "<title>Candlegraph</title>" in response.text
    assert "query PredictionsAndOutcomes" in response.text
    assert (await client.get("/graphql", headers={"accept": "*/*, text/html"})).text == response.text
    response = await client.get("/graphql", params={"query": "{ __typename }"}, headers=browser)
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;Charset="UTF-8"', 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=iso-8859-1", 415),
        ("application/graphql", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("application/jsonx", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_only_json_is_accepted(client: Client, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await client.post("/graphql", content=QUERY, headers=headers)
    assert response.status_code == status
    if status == 415:
        assert response.headers["accept"] == "application/json"
        assert response.json()["errors"][0]["extensions"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_compressed_bodies_are_rejected(client: Client) -> None:
    response = await client.post("/graphql", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "identity"
