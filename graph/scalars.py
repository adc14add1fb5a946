"""Scalars: DateTime and Decimal."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import strawberry
from strawberry.types.scalar import ScalarDefinition

from graph.compiler.deferred import RelativeLiteral
from graph.errors import InputError

RELATIVE = re.compile(r"now(?:([+-])([0-9]{1,12})([smhdw]))?", re.ASCII)
# datetime.fromisoformat accepts more: any character between date and time, for example.
ISO_8601 = re.compile(
    r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?(Z|z|[+-]\d{2}(:?\d{2})?)?)?", re.ASCII
)
NOT_A_TIME = "This is not a time: write ISO 8601, such as 2026-01-31T12:00:00Z, or relative to now, such as now-30d."
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


# An answer that depends on a relative time is computed again after this share of its distance from now, or after the
# least number of seconds, whichever is later.
GRAIN_SHARE = 1 / 60
LEAST_GRAIN_SECONDS = 5.0


class RelativeTime(datetime, RelativeLiteral):
    """An instant that was written relative to now."""

    def __repr__(self) -> str:
        # Equal for equal texts, whenever they were sent: it is part of cache keys.
        return f"RelativeTime({self.text!r})"

    def evaluate(self) -> datetime:
        return parse_time(self.text)


def parse_time(value: Any) -> datetime:
    """The instant that a client wrote, in UTC. Raises InputError."""
    if not isinstance(value, str):
        raise InputError("INVALID_TIME", "A time is a string, such as 2026-01-31T12:00:00Z or now-30d.")
    try:
        if relative := RELATIVE.fullmatch(value):
            return _relative(value, *relative.groups())
        at = datetime.fromisoformat(value.upper()) if ISO_8601.fullmatch(value) else None
        if at is None:
            raise InputError("INVALID_TIME", NOT_A_TIME)
        if at.tzinfo is None:
            raise InputError("INVALID_TIME", "A time needs an offset from UTC, such as Z or +02:00.")
        return at.astimezone(UTC)
    except ValueError:
        raise InputError("INVALID_TIME", NOT_A_TIME) from None
    except OverflowError:
        raise InputError("INVALID_TIME", "This time lies outside the years 1 to 9999.") from None


def _relative(text: str, sign: str | None, count: str | None, unit: str | None) -> RelativeTime:
    at = RelativeTime.now(UTC)
    distance = timedelta(0)
    if count is not None and unit is not None:
        distance = timedelta(**{UNITS[unit]: int(count)})
        at = at + distance if sign == "+" else at - distance
    at.text = text
    at.grain = max(LEAST_GRAIN_SECONDS, GRAIN_SHARE * distance.total_seconds())
    return at


def write_time(value: datetime) -> str:
    return value.astimezone(UTC).isoformat()


def parse_decimal(value: Any) -> Decimal:
    """The exact, finite number that a client wrote. Raises InputError."""
    try:
        number = Decimal(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise InputError("INVALID_DECIMAL", 'A Decimal is a string of digits, such as "0.25".')
    return number


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "An instant, written in ISO 8601, UTC. Input: any offset, or relative to the server's clock: "
            '"now", "now-30d", "now-6h", "now+1d" (units: s, m, h, d and w, from seconds to weeks). A time without an '
            "offset is rejected."
        ),
        parse_value=parse_time,
        serialize=write_time,
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description='An exact decimal number, written as a string, such as "0.25".',
        parse_value=parse_decimal,
        serialize=str,
    ),
}
