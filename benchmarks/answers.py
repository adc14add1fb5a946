"""Compares the answers of all servers, value by value, before anything is measured."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from benchmarks.queries import Query
from benchmarks.servers import LABELS, Server

TIMES = {"openTime", "targetAt", "timestamp"}
MONEY = {"price", "quantity"}
CHECKED_VARIANTS = 20


class AnswersDiffer(Exception):
    """Two servers return different answers, so their speeds cannot be compared."""


def compare(servers: Iterable[Server], query: Query) -> dict[str, int]:
    """The length in bytes of each server's answer (the mean, if variables change). Raises AnswersDiffer."""
    compared = [server for server in servers if query.supports(server.name)]
    variants = range(0, len(query.variables), max(1, len(query.variables) // CHECKED_VARIANTS))
    sizes: dict[str, list[int]] = {server.name: [] for server in compared}
    for number in variants if query.passes_variables else [0]:
        answers = {}
        for server in compared:
            response = server.send(query, number)
            sizes[server.name].append(len(response.content))
            answers[server.name] = canonical(response.json()["data"])
        first, *remaining = answers
        for other in remaining:
            if difference := find_difference(answers[first], answers[other]):
                raise AnswersDiffer(f"{query.name}: {LABELS[first]} and {LABELS[other]} differ: {difference}")
    return {name: sum(lengths) // len(lengths) for name, lengths in sizes.items()}


def canonical(value: Any, key: str = "") -> Any:
    """An answer in a form that all servers share: connections become lists, times and money become values, candles are
    sorted by open time, and the suffixes of aliases are dropped."""
    key = key.split("_")[0]
    if isinstance(value, dict):
        if value.keys() == {"nodes"}:
            return canonical(value["nodes"], key)
        return {name.split("_")[0]: canonical(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        values = [canonical(inner, key) for inner in value]
        return sorted(values, key=lambda candle: candle["openTime"]) if key == "candles" else values
    if key in TIMES:
        return datetime.fromisoformat(value).astimezone(UTC)
    return Decimal(value) if key in MONEY else value


def find_difference(one: Any, other: Any, path: str = "data") -> str | None:
    """The path of the first difference of two canonical answers with both values, or None if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(f"{path}.{key}", one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(f"{path}[{index}]", a, b) for index, (a, b) in enumerate(zip(one, other, strict=True))]
    else:
        return None if one == other else f"{path} is {str(one)[:200]} or {str(other)[:200]}"
    return next((found for name, a, b in pairs if (found := find_difference(a, b, name))), None)
