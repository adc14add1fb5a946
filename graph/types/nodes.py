"""Global ids, resolved: which table each type's rows are in."""

from collections.abc import Callable, Sequence
from typing import Any

from db.queries import (
    alerts,
    cryptocurrencies,
    keys,
    models,
    predictions,
    sentiment,
    signals,
    strategies,
    trades,
)
from graph.compiler.global_ids import InvalidGlobalId, read_global_id
from graph.compiler.symbols import Rows, Variants
from graph.errors import InputError

ROWS: dict[str, Callable[[Any], Rows]] = {
    "Alert": alerts.by_id,
    "Cryptocurrency": cryptocurrencies.by_id,
    "Model": models.by_id,
    "Prediction": predictions.by_id,
    "Sentiment": sentiment.by_id,
    "Signal": signals.by_id,
    "Strategy": strategies.by_id,
    "Trade": trades.by_id,
}


def nodes(ids: Sequence[str], argument: str) -> Variants:
    """The rows behind global ids, in their order; an id without a row gives null."""
    wanted = [_read(id_, argument) for id_ in ids]
    rows = keys.typed_keys([name for name, _ in wanted], [key for _, key in wanted])
    columns = rows.selected_columns
    return Variants(rows, columns.type_name, {name: ROWS[name](columns.key) for name in {name for name, _ in wanted}})


def _read(id_: str, argument: str) -> tuple[str, int]:
    try:
        name, key = read_global_id(id_)
    except InvalidGlobalId:
        name, key = "", 0
    if name not in ROWS:
        message = f"{id_[:50]!r} is not a global id: pass on what an id field gave."
        raise InputError("INVALID_ID", message, [argument])
    return name, key
