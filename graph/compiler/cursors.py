"""Cursors: a position in a keyset order, as an opaque text that clients send back.

A cursor is the base64 form of "<order>|<key>|<key>…". It names its order, so that a cursor of another connection is
rejected; times are microseconds since 1970.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, DateTime, Text, bindparam, cast, func, literal, literal_column
from sqlalchemy.types import TypeEngine

from graph.compiler.deferred import DeferredValue, derive

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
MAX_LENGTH = 512


class InvalidCursor(ValueError):
    """The text is not a cursor of this order."""


def cursor_of(order: str, keys: Sequence[ColumnElement[Any]]) -> ColumnElement[str]:
    """The SQL expression of a row's cursor."""
    return base64_text(func.concat_ws(literal_column("'|'"), literal(order, Text), *(_key_text(key) for key in keys)))


def base64_text(text: ColumnElement[str]) -> ColumnElement[str]:
    """The SQL expression of a text in base64, without the line breaks that PostgreSQL inserts after 76 characters."""
    encoded = func.encode(func.convert_to(text, literal_column("'UTF8'")), literal_column("'base64'"))
    return func.translate(encoded, literal_column("E'\\n'"), literal_column("''"), type_=Text)


def position_in(order: str, keys: Sequence[ColumnElement[Any]], cursor: Any) -> list[ColumnElement[Any]]:
    """The key values of a cursor, as bound parameters. Raises InvalidCursor."""
    are_times = [isinstance(key.type, DateTime) for key in keys]
    values = [derive(_key_value, index, order, are_times, cursor) for index in range(len(keys))]
    return [_parameter(value, is_time) for value, is_time in zip(values, are_times, strict=True)]


def _key_text(key: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(key.type, DateTime):
        return cast(func.extract("epoch", key) * 1_000_000, BigInteger)
    return key


def _parameter(value: Any, is_time: bool) -> ColumnElement[Any]:
    # BigInteger: a cursor's number may be larger than the key's type holds.
    type_: TypeEngine[Any] = DateTime(timezone=True) if is_time else BigInteger()
    return value if isinstance(value, DeferredValue) else bindparam(None, value, type_=type_, unique=True)


def _key_value(index: int, order: str, are_times: Sequence[bool], cursor: str) -> Any:
    """One of the key values of a cursor, after all of them are checked."""
    name, *parts = _decode(cursor).split("|")
    if name != order or len(parts) != len(are_times):
        raise InvalidCursor
    return [_parse_key(part, is_time) for part, is_time in zip(parts, are_times, strict=True)][index]


def _parse_key(part: str, is_time: bool) -> Any:
    if not WHOLE_NUMBER.fullmatch(part) or not -(2**63) <= int(part) < 2**63:
        raise InvalidCursor
    if not is_time:
        return int(part)
    try:
        return EPOCH + int(part) * MICROSECOND
    except OverflowError:
        raise InvalidCursor from None


def _decode(cursor: str) -> str:
    if len(cursor) > MAX_LENGTH:
        raise InvalidCursor
    try:
        return base64.b64decode(cursor, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
