"""Lists of primary keys as query parameters."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from db.queries.listings import array_of


def typed_keys(type_names: Any, keys: Any) -> Select[Any]:
    """Rows (type_name, key) for these pairs, in the given order."""
    pairs = (
        func.unnest(array_of(type_names, Text()), array_of(keys, BigInteger()))
        .table_valued("type_name", "key", with_ordinality="place")
        .render_derived()
    )
    return select(pairs.c.type_name, pairs.c.key).order_by(pairs.c.place)


def key_list(keys: Sequence[int]) -> str:
    """Several keys as one value: the text of a PostgreSQL array."""
    return "{" + ",".join(map(str, keys)) + "}"


def keys_in(key_list: Any) -> ColumnElement[Any]:
    """Any of the keys in a result of key_list(), for comparison with =."""
    return any_(cast(key_list, ARRAY(BigInteger)))
