"""Parses times as clients write them: a second implementation of the contract."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def parse_instant(text: Any) -> datetime:
    """ISO 8601 with an offset, or relative to now."""
    if text == "now":
        return datetime.now(UTC)
    if relative := re.fullmatch(r"now([+-])(\d+)([smhdw])", text):
        sign, count, unit = relative.groups()
        return datetime.now(UTC) + (1 if sign == "+" else -1) * int(count) * UNITS[unit]
    instant = datetime.fromisoformat(text)
    assert instant.tzinfo is not None, f"{text} has no offset"
    return instant.astimezone(UTC)
