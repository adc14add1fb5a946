"""SQL expressions of JSON: PostgreSQL writes the answers."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson
from graphql import GraphQLFloat, GraphQLID, GraphQLInt, GraphQLLeafType
from sqlalchemy import ColumnElement, Numeric, Select, Text, cast, func, literal, literal_column, select, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY, JSON
from sqlalchemy.types import Float

Fields: TypeAlias = Sequence[tuple[str, ColumnElement[Any]]]

# PostgreSQL cuts names after 63 bytes; GraphQL's names are ASCII and may be longer.
MAX_COLUMN_NAME = 63
# A function takes at most 100 arguments: 50 pairs.
MAX_PAIRS = 50
# A statement selects at most 1,664 columns.
MAX_COLUMNS = 1_600
# Not a GraphQL name: clients choose the names of columns, and row_to_json(x) means the column x if there is one.
ROW = "row#"
NUMBERS = (GraphQLFloat, GraphQLInt)
EMPTY_LIST: ColumnElement[Any] = literal_column("'[]'::json", JSON)


def json_object(fields: Fields) -> ColumnElement[Any]:
    """One object with these fields, in this order."""
    chunks = [fields[start : start + MAX_PAIRS] for start in range(0, len(fields), MAX_PAIRS)] or [fields]
    objects = [
        func.json_build_object(*(part for field in chunk for part in _pair(*field)), type_=JSON) for chunk in chunks
    ]
    if len(objects) == 1:
        return objects[0]
    # All texts but the last lose their closing brace, all but the first their opening brace.
    texts = [cast(part, Text) for part in objects]
    joined = func.concat_ws(
        ",",
        func.left(texts[0], -1),
        *(func.substr(func.left(text, -1), 2) for text in texts[1:-1]),
        func.substr(texts[-1], 2),
    )
    return cast(joined, JSON)


def _pair(name: str, value: ColumnElement[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    # A GraphQL name has only letters, digits and underscores, so a literal is safe.
    return literal_column(f"'{name}'"), value


def select_records(rows: Select[Any], fields: Fields, outer: Sequence[Any], *, many: bool) -> ColumnElement[Any]:
    """The rows with these fields: an array, or one record or null. outer: the tables of the enclosing statements.

    The outermost expression turns them into JSON in one step: a tenth cheaper than json_agg at each level.
    """
    if 0 < len(fields) <= MAX_COLUMNS and all(len(name) <= MAX_COLUMN_NAME for name, _ in fields):
        inner = _nested(rows, [value.label(name) for name, value in fields], outer)
        return collect_values(inner.table_valued(), inner, many=many)
    inner = _nested(rows, [json_object(fields).label("object")], outer)
    return collect_values(inner.c.object, inner, many=many)


def collect_values(value: ColumnElement[Any], inner: Any, *, many: bool) -> ColumnElement[Any]:
    """The values of a subquery: an array, or one value or null."""
    rows = select(value).select_from(inner).scalar_subquery()
    return func.array(rows, type_=JSON) if many else type_coerce(rows, JSON)


def to_json(value: ColumnElement[Any], *, many: bool) -> ColumnElement[Any]:
    """An array or a record as JSON."""
    return func.array_to_json(value, type_=JSON) if many else func.to_json(value, type_=JSON)


def _nested(rows: Select[Any], columns: Sequence[ColumnElement[Any]], outer: Sequence[Any]) -> Any:
    # SQLAlchemy does not correlate a subquery in FROM by itself.
    return rows.with_only_columns(*columns, maintain_column_froms=True).correlate(*outer).subquery(ROW)


def json_leaf(leaf_type: GraphQLLeafType, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column in the JSON form of its GraphQL type: exact decimals and ids are strings."""
    if isinstance(value.type, Numeric) and not isinstance(value.type, Float) and leaf_type not in NUMBERS:
        return cast(func.trim_scale(value), Text)
    if leaf_type is GraphQLID:
        return cast(value, ARRAY(Text) if isinstance(value.type, ARRAY) else Text)
    return value


def json_constant(leaf_type: GraphQLLeafType, value: Any) -> ColumnElement[Any]:
    """A Python value in the JSON form of its GraphQL type."""
    json = orjson.dumps(leaf_type.coerce_output_value(value)).decode()
    return cast(literal(json, Text), JSON)
