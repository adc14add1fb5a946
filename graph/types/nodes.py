"""Global ids, resolved: which table each type's rows are in."""

from collections.abc import Callable, Sequence
from typing import Any

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
from graph.errors import InputError

# What everybody may see, and what not.
PUBLIC: dict[str, Callable[[Any], Rows]] = {
    "Cryptocurrency": cryptocurrencies.by_id,
    "Model": models.by_id,
    "Prediction": predictions.by_id,
    "Sentiment": sentiment.by_id,
}
PRIVATE: dict[str, Callable[[Viewer, Any], Rows]] = {
    "Alert": alerts.by_id,
    "ApiKey": api_keys.by_id,
    "Signal": signals.by_id,
    "Strategy": strategies.by_id,
    "Trade": trades.by_id,
    "User": users.by_id,
}


def nodes(viewer: Viewer, ids: Sequence[str], argument: str) -> Variants:
    """The rows behind global ids, in their order; an id without a row gives null."""
    rows = keys.typed_keys(derive(_type_names, ids, argument), derive(_keys, ids, argument))
    columns = rows.selected_columns
    # The statement looks for rows of these types only, whatever keys they have.
    type_names = specialize(derive(_distinct_type_names, ids, argument))
    return Variants(rows, columns.type_name, {name: _rows(viewer, name, columns.key) for name in type_names})


def _rows(viewer: Viewer, type_name: str, key: Any) -> Rows:
    return PUBLIC[type_name](key) if type_name in PUBLIC else PRIVATE[type_name](viewer, key)


def _distinct_type_names(ids: Sequence[str], argument: str) -> list[str]:
    return sorted(set(_type_names(ids, argument)))


def _type_names(ids: Sequence[str], argument: str) -> list[str]:
    return [_read(id_, argument)[0] for id_ in ids]


def _keys(ids: Sequence[str], argument: str) -> list[int]:
    return [_read(id_, argument)[1] for id_ in ids]


def _read(id_: str, argument: str) -> tuple[str, int]:
    try:
        name, key = read_global_id(id_)
    except InvalidGlobalId:
        name, key = "", 0
    if name not in PUBLIC and name not in PRIVATE:
        message = f"{id_[:50]!r} is not a global id: pass on what an id field gave."
        raise InputError("INVALID_ID", message, [argument])
    return name, key
