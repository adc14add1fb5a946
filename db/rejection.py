"""Rejecting a request from inside a SQL statement.

Some input can be validated only against stored rows: whether an interval is shorter than a coin's stored candles, or
how many candles a range holds. The statement checks it and raises an exception that carries an error code and details
for the client (db.errors.Rejected). The SQL function is created by the first migration.
"""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, func
from sqlalchemy.dialects.postgresql import JSONB

from db.constants import text_constant


def reject(code: str, message: ColumnElement[str], **details: Any) -> ColumnElement[bool]:
    """An expression that never yields a value: evaluating it aborts the statement with db.errors.Rejected.

    Guard it with CASE, since PostgreSQL may evaluate the operands of AND and OR in any order.
    """
    pairs = [part for key, value in details.items() for part in (text_constant(key), value)]
    error = func.jsonb_build_object(text_constant("code"), text_constant(code), *pairs, type_=JSONB)
    return func.candlegraph_refuse(message, error, type_=Boolean)
