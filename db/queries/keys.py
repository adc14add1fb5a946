from typing import Any

from sqlalchemy import BigInteger, Select, Text, func, select

from db.queries.listings import array_of


def typed_keys(type_names: Any, keys: Any) -> Select[Any]:
    """The given pairs as rows (type_name, key), in their order."""
    pairs = (
        func.unnest(array_of(type_names, Text()), array_of(keys, BigInteger()))
        .table_valued("type_name", "key", with_ordinality="place")
        .render_derived()
    )
    return select(pairs.c.type_name, pairs.c.key).order_by(pairs.c.place)
