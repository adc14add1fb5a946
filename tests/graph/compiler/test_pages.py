"""Connections: one scan for any selection."""

from typing import Any

import pytest

from tests.graph.compiler.conftest import Client

# By publication, oldest first. Dispossessed and Castle have the same time: their ids decide.
TITLES = ["Beowulf", "Baron", "Lathe", "Cities", "Dispossessed", "Castle"]
SCAN = "row_number"

PAGE = """query ($first: Int, $last: Int, $after: String, $before: String, $newestFirst: Boolean! = false) {
  bookPage(first: $first, last: $last, after: $after, before: $before, newestFirst: $newestFirst) {
    edges { cursor node { title } } nodes { title }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount __typename } }"""


async def page(library: Client, **arguments: Any) -> Any:
    data = await library.ask(PAGE, **arguments)
    assert library.count == 1
    return data["bookPage"]


def titles(page: Any) -> list[str]:
    return [node["title"] for node in page["nodes"]]


async def test_every_field_of_a_page_comes_from_one_statement(library: Client) -> None:
    found = await page(library, first=2)
    cursors = [edge["cursor"] for edge in found["edges"]]
    assert found == {
        "edges": [
            {"cursor": cursors[0], "node": {"title": "Beowulf"}},
            {"cursor": cursors[1], "node": {"title": "Baron"}},
        ],
        "nodes": [{"title": "Beowulf"}, {"title": "Baron"}],
        "pageInfo": {
            "hasNextPage": True,
            "hasPreviousPage": False,
            "startCursor": cursors[0],
            "endCursor": cursors[1],
        },
        "totalCount": 6,
        "__typename": "BookConnection",
    }
    assert cursors[0] != cursors[1]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
async def test_pages_forward_show_each_row_once(library: Client, size: int, newest_first: bool) -> None:
    seen: list[str] = []
    after, more = None, True
    while more and len(seen) <= len(TITLES):
        found = await page(library, first=size, after=after, newestFirst=newest_first)
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert [edge["node"] for edge in found["edges"]] == found["nodes"]
        seen += titles(found)
        after, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        assert len(found["nodes"]) == size or not more
    assert seen == (TITLES[::-1] if newest_first else TITLES)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 7])
async def test_pages_backward_show_each_row_once_in_the_same_order(
    library: Client, size: int, newest_first: bool
) -> None:
    seen: list[str] = []
    before, more = None, True
    while more and len(seen) <= len(TITLES):
        found = await page(library, last=size, before=before, newestFirst=newest_first)
        assert found["pageInfo"]["hasNextPage"] is (before is not None)
        seen = titles(found) + seen
        before, more = found["pageInfo"]["startCursor"], found["pageInfo"]["hasPreviousPage"]
        assert len(found["nodes"]) == size or not more
    assert seen == (TITLES[::-1] if newest_first else TITLES)


async def test_the_cursors_of_page_info_are_those_of_its_edges(library: Client) -> None:
    for arguments in ({"first": 3}, {"last": 3}, {"last": 3, "newestFirst": True}):
        found = await page(library, **arguments)
        cursors = [edge["cursor"] for edge in found["edges"]]
        assert len(set(cursors)) == 3
        assert (found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])


@pytest.mark.parametrize(("newest_first", "between"), [(False, ["Lathe", "Cities"]), (True, ["Cities", "Lathe"])])
@pytest.mark.parametrize("size", ["first", "last"])
async def test_a_page_between_two_cursors(library: Client, newest_first: bool, between: list[str], size: str) -> None:
    whole = await page(library, newestFirst=newest_first)
    second, fifth = (whole["edges"][place]["cursor"] for place in (1, 4))
    arguments = {"after": second, "before": fifth, "newestFirst": newest_first}
    assert titles(await page(library, **arguments, **{size: 1})) == [between[0 if size == "first" else -1]]
    found = await page(library, **arguments, **{size: 5})
    assert titles(found) == between
    # There are rows beyond both cursors, although the page holds all rows between them.
    assert found["pageInfo"]["hasNextPage"] is True
    assert found["pageInfo"]["hasPreviousPage"] is True
    assert found["totalCount"] == 6


@pytest.mark.parametrize("newest_first", [False, True])
async def test_cursors_outside_of_the_connection_have_no_rows_beyond_them(library: Client, newest_first: bool) -> None:
    whole = (await page(library, newestFirst=newest_first))["edges"]
    data = await library.ask(
        """query ($after: String, $before: String, $newestFirst: Boolean!) { author(id: 1) {
             forward: bookPage(after: $after, before: $before, newestFirst: $newestFirst, first: 5) { ...Ends }
             backward: bookPage(after: $after, before: $before, newestFirst: $newestFirst, last: 5) { ...Ends } } }
           fragment Ends on BookConnection { pageInfo { hasNextPage hasPreviousPage } nodes { title } }""",
        after=whole[1 if not newest_first else 0]["cursor"],
        before=whole[5 if not newest_first else 4]["cursor"],
        newestFirst=newest_first,
    )
    # Only books of other authors are beyond the cursors.
    ursula = ["Lathe", "Dispossessed"]
    ends = {
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False},
        "nodes": [{"title": title} for title in (ursula[::-1] if newest_first else ursula)],
    }
    assert data["author"] == {"forward": ends, "backward": ends}


async def test_a_page_after_the_last_row_is_empty(library: Client) -> None:
    last = (await page(library))["pageInfo"]["endCursor"]
    found = await page(library, after=last)
    assert found["edges"] == []
    assert found["nodes"] == []
    assert found["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": None,
        "endCursor": None,
    }
    assert found["totalCount"] == 6


async def test_a_connection_without_rows(library: Client) -> None:
    data = await library.ask(
        "{ author(id: 3) { bookPage { edges { cursor } nodes { title } totalCount "
        "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"
    )
    assert data["author"]["bookPage"] == {
        "edges": [],
        "nodes": [],
        "totalCount": 0,
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    ("selection", "answer"),
    [
        ("__typename", {"__typename": "BookConnection"}),
        ("totalCount", {"totalCount": 6}),
        ("a: totalCount b: totalCount", {"a": 6, "b": 6}),
        ("pageInfo { hasPreviousPage }", {"pageInfo": {"hasPreviousPage": False}}),
        ("pageInfo { __typename }", {"pageInfo": {"__typename": "PageInfo"}}),
    ],
)
async def test_a_selection_that_needs_no_rows_has_no_scan(library: Client, selection: str, answer: Any) -> None:
    assert await library.ask(f"{{ bookPage {{ {selection} }} }}") == {"bookPage": answer}
    assert library.count == 1
    assert SCAN not in library.statements[0]


@pytest.mark.parametrize(
    ("selection", "answer"),
    [
        ("edges { node { title } }", {"edges": [{"node": {"title": "Beowulf"}}]}),
        ("edges { __typename }", {"edges": [{"__typename": "BookEdge"}]}),
        ("pageInfo { hasNextPage }", {"pageInfo": {"hasNextPage": True}}),
        ("pageInfo { hasNextPage } a: nodes { id: pages }", {"pageInfo": {"hasNextPage": True}, "a": [{"id": 100}]}),
    ],
)
async def test_a_selection_without_total_count_does_not_count(library: Client, selection: str, answer: Any) -> None:
    assert await library.ask(f"{{ bookPage(first: 1) {{ {selection} }} }}") == {"bookPage": answer}
    assert library.statements[0].count(SCAN) == 1
    assert "LIMIT" in library.statements[0]
    assert "count(*)" not in library.statements[0]


@pytest.mark.parametrize("page", ["first: 1", "last: 1"])
async def test_nodes_without_positions_are_not_numbered(library: Client, page: str) -> None:
    data = await library.ask(f"{{ bookPage({page}) {{ nodes {{ title }} again: nodes {{ __typename }} totalCount }} }}")
    title = {"first: 1": "Beowulf", "last: 1": "Castle"}[page]
    assert data == {"bookPage": {"nodes": [{"title": title}], "again": [{"__typename": "Book"}], "totalCount": 6}}
    assert SCAN not in library.statements[0]


async def test_the_rows_of_a_page_have_relations(library: Client) -> None:
    data = await library.ask(
        "{ bookPage(last: 2) { nodes { title author { name } } edges { node { reviews { stars } length { pages } } }} }"
    )
    assert data["bookPage"] == {
        "nodes": [
            {"title": "Dispossessed", "author": {"name": "Ursula"}},
            {"title": "Castle", "author": {"name": "Italo"}},
        ],
        "edges": [
            {"node": {"reviews": [], "length": {"pages": 341}}},
            {"node": {"reviews": [], "length": {"pages": 129}}},
        ],
    }
    assert library.statements[0].count(SCAN) == 1


async def test_a_page_uses_the_names_of_attributes_not_of_columns(library: Client) -> None:
    # The column of pen_name is named alias.
    data = await library.ask("{ authorPage { nodes { name penName books(longerThan: 200) { title } } } }")
    assert data["authorPage"]["nodes"] == [
        {"name": "Ursula", "penName": None, "books": [{"title": "Dispossessed"}]},
        {"name": "Italo", "penName": "Tonio", "books": [{"title": "Baron"}]},
    ]
