from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY


def typed_keys(type_names: Sequence[str], keys: Sequence[int]) -> Select[Any]:
    """The given pairs as rows (type_name, key), in their order."""
    names = bindparam(None, list(type_names), type_=ARRAY(Text), unique=True)
    numbers = bindparam(None, list(keys), type_=ARRAY(BigInteger), unique=True)
    pairs = func.unnest(names, numbers).table_valued("type_name", "key", with_ordinality="place").render_derived()
    return select(pairs.c.type_name, pairs.c.key).order_by(pairs.c.place)
