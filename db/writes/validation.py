"""Validation of the input of writes. A check returns a FieldError or None:

raise_field_errors(text_error("name", name, 100), fraction_error("confidence", confidence))
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

# Of a list: a response with an error for each of ten thousand invalid candles would be of no use.
MAX_FIELD_ERRORS = 100
# numeric(38,18): digits before and after the decimal point.
MONEY_BEFORE, MONEY_AFTER = 20, 18
# Trailing zeros are allowed, but PostgreSQL reads at most this many decimal places.
MAX_PLACES = 1_000
MAX_JSON = 65_536
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# U+0000 as a JSON escape. After an escaped backslash it is six ordinary characters.
NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class FieldError(NamedTuple):
    """A validation error of one input field. field: its path, such as ("candles", "3", "high"). code: stable."""

    code: str
    field: Sequence[str]
    message: str


class ValidationError(Exception):
    """The input of a write is invalid. Messages are for the client."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


def validation_error(code: str, field: str, message: str) -> ValidationError:
    """The exception for a single field error."""
    return ValidationError(FieldError(code, (field,), message))


def raise_field_errors(*errors: FieldError | None) -> None:
    """Raises ValidationError if any of the errors is not None."""
    found = [error for error in errors if error is not None]
    if found:
        raise ValidationError(*found)


def text_error(field: str, value: str | None, longest: int) -> FieldError | None:
    # PostgreSQL cannot store U+0000.
    if value is None or (value.strip() and len(value) <= longest and "\0" not in value):
        return None
    return FieldError("INVALID_TEXT", (field,), f"This must be a text of 1 to {longest} characters.")


def time_error(field: str, at: datetime | None) -> FieldError | None:
    # The driver maps the first and the last datetime to -infinity and infinity.
    if at is None or FIRST < at < LAST:
        return None
    return FieldError(
        "OUT_OF_RANGE", (field,), "This must be within the years 1 to 9999, without their first and last instant."
    )


def fraction_error(field: str, value: float | None) -> FieldError | None:
    if value is None or 0 <= value <= 1:
        return None
    return FieldError("OUT_OF_RANGE", (field,), f"This must be between 0 and 1, but is {value}.")


def price_error(field: str, value: float | None) -> FieldError | None:
    if value is None or 0 <= value < math.inf:
        return None
    return FieldError("OUT_OF_RANGE", (field,), f"This must not be negative, but is {value}.")


def money_error(field: str, value: Decimal | None, *, positive: bool = True) -> FieldError | None:
    """The error of an amount that the column would round or overflow, or that is not positive."""
    if value is None:
        return None
    if positive and value <= 0:
        return FieldError("OUT_OF_RANGE", (field,), "This must be more than 0.")
    if not _fits(value):
        message = f"This can have at most {MONEY_BEFORE} digits before the decimal point and {MONEY_AFTER} after it."
        return FieldError("OUT_OF_RANGE", (field,), message)
    return None


def _fits(value: Decimal) -> bool:
    """Whether the column stores the value exactly. Works on the digits: arithmetic could round or overflow."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "the scalar accepts finite numbers only"
    significant = "".join(map(str, digits)).rstrip("0")
    places = -exponent - (len(digits) - len(significant) if significant else 0)
    return len(digits) + exponent <= MONEY_BEFORE and places <= MONEY_AFTER and -exponent <= MAX_PLACES


def json_error(field: str, value: Any) -> FieldError | None:
    """The error of a value that is not an object, is too large, or cannot be stored by PostgreSQL."""
    if value is None:
        return None
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        encoded = ""
    if isinstance(value, dict) and encoded and len(encoded) <= MAX_JSON and not NUL_ESCAPE.search(encoded):
        return None
    return FieldError("INVALID_JSON", (field,), f"This must be a JSON object of at most {MAX_JSON:,} characters.")


def not_found(field: str, noun: str) -> ValidationError:
    """The exception for a row that does not exist or that the viewer may not see; both give the same error."""
    return validation_error("NOT_FOUND", field, f"There is no such {noun}.")
