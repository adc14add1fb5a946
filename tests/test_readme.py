"""The README's tour: each query, run on the demo data, returns the answer that is printed below it."""

import json
import re
from pathlib import Path

import pytest

from tests.application import Client

README = Path(__file__).resolve().parents[1] / "README.md"
TOUR = re.findall(r"\*\*(\d+)\. .*?```graphql\n(.*?)```\n\n```json\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_the_tour_has_ten_queries() -> None:
    assert [number for number, *_ in TOUR] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(("number", "query", "answer"), TOUR, ids=[number for number, *_ in TOUR])
async def test_a_query_returns_the_printed_answer(client: Client, number: str, query: str, answer: str) -> None:
    assert await client.data(query) == json.loads(answer)
