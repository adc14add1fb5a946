"""Global ids as in Relay: the base64 form of "<type>:<primary key>", opaque to clients."""

import base64
import binascii
import re
from typing import Any

from sqlalchemy import ColumnElement, Text, func, literal

from graph.compiler.cursors import base64_text

PATTERN = re.compile(r"([A-Za-z]+):([1-9][0-9]{0,18})", re.ASCII)


class InvalidGlobalId(ValueError):
    """The text is not a global id."""


def global_id(type_name: str, key: Any) -> Any:
    """The global id of a row: an SQL expression if the key is a column, a text if it is a value."""
    if isinstance(key, int):
        return base64.b64encode(f"{type_name}:{key}".encode()).decode()
    expression: ColumnElement[str] = base64_text(func.concat(literal(f"{type_name}:", Text), key))
    return expression


def read_global_id(text: str) -> tuple[str, int]:
    """The type's name and the primary key. Raises InvalidGlobalId."""
    try:
        match = PATTERN.fullmatch(base64.b64decode(text, validate=True).decode("ascii"))
    except (binascii.Error, ValueError):
        match = None
    if match is None or int(match[2]) >= 2**63:
        raise InvalidGlobalId
    return match[1], int(match[2])
