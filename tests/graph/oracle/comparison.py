"""Compares an answer with the expected one, by the meaning of its values."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from tests.graph.oracle.pages import Cursors, Position
from tests.graph.oracle.series import Sum

TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Json:
    """A value of the scalar JSON: the order of its keys does not matter."""

    value: Any

    def text(self) -> bytes:
        return orjson.dumps(self.value, option=orjson.OPT_SORT_KEYS)


class Mismatch(AssertionError):
    """The first difference between an answer and the expected one. kind: used to recognize the same fault again."""

    def __init__(self, message: str, kind: str = "a value") -> None:
        super().__init__(message)
        self.kind = kind


def compare(expected: Any, actual: Any, cursors: Cursors, path: str = "data") -> None:
    """Raises Mismatch. Texts of times and decimals are compared by value, cursors by the position that they encode."""
    match expected:
        case dict():
            _check(isinstance(actual, dict), path, expected, actual)
            # Fields are in the order of the selection.
            _check(list(expected) == list(actual), f"the keys of {path}", list(expected), list(actual))
            for key, value in expected.items():
                compare(value, actual[key], cursors, f"{path}.{key}")
        case list():
            _check(isinstance(actual, list), path, expected, actual)
            for position, (value, other) in enumerate(zip(expected, actual, strict=False)):
                compare(value, other, cursors, f"{path}[{position}]")
            _check(len(expected) == len(actual), f"the length of {path}", len(expected), len(actual))
        case _:
            _check(_is_same(expected, actual, cursors), path, expected, actual)


def _is_same(expected: Any, actual: Any, cursors: Cursors) -> bool:
    match expected:
        case None | bool():
            return actual is expected
        case Json():
            return expected.text() == Json(actual).text()
        case Position():
            return isinstance(actual, str) and cursors.record(actual, expected)
        case datetime():
            instant = datetime.fromisoformat(actual) if isinstance(actual, str) else None
            return instant is not None and instant.utcoffset() == timedelta(0) and instant == expected
        case Decimal():
            return isinstance(actual, str) and Decimal(actual) == expected
        case Sum():
            return _is_number(actual) and math.isclose(actual, expected, rel_tol=TOLERANCE)
        case int() | float():
            return _is_number(actual) and actual == expected
    return type(actual) is type(expected) and bool(actual == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(same: bool, path: str, expected: Any, actual: Any) -> None:
    if not same:
        raise Mismatch(f"{path} should be {expected!r}, but is {actual!r}")
