"""Why rows are not written: for whoever asked, who can mend it.

raise_problems(text_problem("name", name, 100), share_problem("confidence", confidence))
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

# numeric(38,18): so many digits before the point, and after it.
MONEY_BEFORE, MONEY_AFTER = 20, 18
# Zeros at the end are welcome, but PostgreSQL reads no more of them.
MOST_PLACES = 1_000
MAX_JSON = 65_536
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# U+0000 as JSON writes it; after another backslash it is six characters.
NO_CHARACTER = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Problem(NamedTuple):
    """field: what was given, as the function calls it, such as ("candles", "3", "high"). code stays the same."""

    code: str
    field: Sequence[str]
    message: str


class ValidationError(Exception):
    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def invalid(code: str, field: str, message: str) -> ValidationError:
    """The exception for one problem."""
    return ValidationError(Problem(code, (field,), message))


def raise_problems(*problems: Problem | None) -> None:
    """Raises ValidationError with the problems that there are."""
    found = [problem for problem in problems if problem is not None]
    if found:
        raise ValidationError(*found)


def text_problem(field: str, value: str | None, longest: int) -> Problem | None:
    # PostgreSQL holds no U+0000.
    if value is None or (value.strip() and len(value) <= longest and "\0" not in value):
        return None
    return Problem("INVALID_TEXT", (field,), f"This must be a text of 1 to {longest} characters.")


def time_problem(field: str, at: datetime | None) -> Problem | None:
    # The driver takes them for the ends of time, which are no instants.
    if at is None or FIRST < at < LAST:
        return None
    return Problem("OUT_OF_RANGE", (field,), "This must be within the years 1 to 9999, and not at their very ends.")


def share_problem(field: str, value: float | None) -> Problem | None:
    if value is None or 0 <= value <= 1:
        return None
    return Problem("OUT_OF_RANGE", (field,), f"This must be between 0 and 1, but is {value}.")


def price_problem(field: str, value: float | None) -> Problem | None:
    if value is None or 0 <= value < math.inf:
        return None
    return Problem("OUT_OF_RANGE", (field,), f"This must not be negative, but is {value}.")


def money_problem(field: str, value: Decimal | None, *, positive: bool = True) -> Problem | None:
    """Of what does not fit the column to the last digit, or is not more than nothing."""
    if value is None:
        return None
    if positive and value <= 0:
        return Problem("OUT_OF_RANGE", (field,), "This must be more than 0.")
    if not _fits(value):
        message = f"This may have {MONEY_BEFORE} digits before the point and {MONEY_AFTER} after it at most."
        return Problem("OUT_OF_RANGE", (field,), message)
    return None


def _fits(value: Decimal) -> bool:
    """Whether the column holds it as it is. Nothing is reckoned: that would round it, or overflow."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "the scalar takes finite numbers only"
    written = "".join(map(str, digits)).rstrip("0")
    places = -exponent - (len(digits) - len(written) if written else 0)
    return len(digits) + exponent <= MONEY_BEFORE and places <= MONEY_AFTER and -exponent <= MOST_PLACES


def json_problem(field: str, value: Any) -> Problem | None:
    """Of what is no object, is too large, or holds what PostgreSQL cannot store."""
    if value is None:
        return None
    try:
        written = json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        written = ""
    if isinstance(value, dict) and written and len(written) <= MAX_JSON and not NO_CHARACTER.search(written):
        return None
    return Problem("INVALID_JSON", (field,), f"This must be an object of {MAX_JSON:,} characters at most, in JSON.")


def missing(field: str, noun: str) -> ValidationError:
    """The exception for what is not there, or not for whoever asks: nobody can tell the two apart."""
    return invalid("NOT_FOUND", field, f"There is no such {noun}.")
