"""Refusing from inside a statement.

Some input can only be judged beside the rows that it meets: whether an interval is shorter than a coin's stored
candles, or how many candles a range holds. The statement judges it, and refuses by an exception that carries a code
and details for the client (db.errors.Rejected). The function is created by the first migration.
"""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, func
from sqlalchemy.dialects.postgresql import JSONB

from db.constants import text_constant


def reject(code: str, message: ColumnElement[str], **details: Any) -> ColumnElement[bool]:
    """An expression that never has a value: evaluating it ends the statement.

    Guard it with CASE, since PostgreSQL may evaluate the operands of AND and OR in any order.
    """
    pairs = [part for key, value in details.items() for part in (text_constant(key), value)]
    carried = func.jsonb_build_object(text_constant("code"), text_constant(code), *pairs, type_=JSONB)
    return func.candlegraph_refuse(message, carried, type_=Boolean)
