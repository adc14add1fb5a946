"""Rows by global id: the query of each type that implements Node."""

from collections.abc import Callable, Sequence
from typing import Any

from db.models import (
    Alert,
    ApiKey,
    Base,
    Cryptocurrency,
    Model,
    Prediction,
    Sentiment,
    Signal,
    Strategy,
    Trade,
    User,
)
from db.queries import (
    alerts,
    api_keys,
    cryptocurrencies,
    keys,
    models,
    predictions,
    sentiment,
    signals,
    strategies,
    trades,
    users,
)
from db.queries.viewers import Viewer
from graph.compiler.deferred import derive, specialize
from graph.compiler.global_ids import InvalidGlobalId, read_global_id
from graph.compiler.symbols import Rows, Variants
from graph.fields import invalid_id

# By model: a type has the name of its model. The query takes the key; that of a private model takes the viewer first.
_BY_ID: dict[type[Base], Callable[..., Rows]] = {
    Alert: alerts.by_id,
    ApiKey: api_keys.by_id,
    Cryptocurrency: cryptocurrencies.by_id,
    Model: models.by_id,
    Prediction: predictions.by_id,
    Sentiment: sentiment.by_id,
    Signal: signals.by_id,
    Strategy: strategies.by_id,
    Trade: trades.by_id,
    User: users.by_id,
}
NODE_MODELS = {model.__name__: model for model in _BY_ID}


def nodes(viewer: Viewer, ids: Sequence[str], argument: str) -> Variants:
    """The rows of global ids, in their order; null for an id without a visible row. Raises InputError."""
    rows = keys.typed_keys(derive(_type_names, ids, argument), derive(_keys, ids, argument))
    columns = rows.selected_columns
    # The statement depends on the types of the ids, and not on their keys.
    type_names = specialize(derive(_distinct_type_names, ids, argument))
    return Variants(rows, columns.type_name, {name: _rows(viewer, name, columns.key) for name in type_names})


def _rows(viewer: Viewer, type_name: str, key: Any) -> Rows:
    model = NODE_MODELS[type_name]
    return _BY_ID[model](viewer, key) if model.access.is_private else _BY_ID[model](key)


def _distinct_type_names(ids: Sequence[str], argument: str) -> list[str]:
    return sorted(set(_type_names(ids, argument)))


def _type_names(ids: Sequence[str], argument: str) -> list[str]:
    return [_parsed(id_, argument)[0] for id_ in ids]


def _keys(ids: Sequence[str], argument: str) -> list[int]:
    return [_parsed(id_, argument)[1] for id_ in ids]


def _parsed(id_: str, argument: str) -> tuple[str, int]:
    try:
        name, key = read_global_id(id_)
    except InvalidGlobalId:
        name, key = "", 0
    if name not in NODE_MODELS:
        raise invalid_id(id_, [argument])
    return name, key
