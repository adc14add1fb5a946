from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Text, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from db.queries.listings import array_of


def typed_keys(type_names: Any, keys: Any) -> Select[Any]:
    """The given pairs as rows (type_name, key), in their order."""
    pairs = (
        func.unnest(array_of(type_names, Text()), array_of(keys, BigInteger()))
        .table_valued("type_name", "key", with_ordinality="place")
        .render_derived()
    )
    return select(pairs.c.type_name, pairs.c.key).order_by(pairs.c.place)


def key_list(keys: Sequence[int]) -> str:
    """Several keys as one value, such as an object holds that stands for a row."""
    return "{" + ",".join(map(str, keys)) + "}"


def keys_in(listed: Any) -> ColumnElement[Any]:
    """Any of the keys in such a value."""
    return any_(cast(listed, ARRAY(BigInteger)))
