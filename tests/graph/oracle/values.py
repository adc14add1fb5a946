"""Sample values of arguments: those that match rows, those that just miss them, and null."""

from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLID,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)

from tests.graph.oracle import rows

DEFAULT_PAGE = 50
# The most candles that candles(last: null) has in our data.
MAX_CANDLES = 280
BY_TIME = {"Prediction", "Signal", "Trade", "Alert", "Sentiment"}


class Name(str):
    """The name of an enum value, which a literal has without quotes."""


class ValuePool:
    """Values that only answers contain. cursors: by the type of the rows, and whether the newest are first."""

    def __init__(self, ids: dict[str, list[str]], cursors: dict[tuple[str, bool], list[str]]) -> None:
        self.ids = ids
        self.cursors = cursors


def _time_text(at: datetime, style: int) -> str:
    zone = (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=3)))[style % 3]
    if not datetime(2, 1, 1, tzinfo=UTC) < at < datetime(9998, 1, 1, tzinfo=UTC):
        zone = UTC
    text = at.astimezone(zone).isoformat()
    return text.replace("+00:00", "Z") if style % 2 else text


def _instants() -> list[str]:
    """Texts of times, in chronological order."""
    hours = (0, 4, 8, 9.5, 10, 20, 28, 30, 52, 100, 101, 110, 124, 125, 196, 290, 291, 300)
    boundaries = [rows.hours(hour) for hour in hours]
    boundaries += [datetime(2024, 2, 29, 23, minute, tzinfo=UTC) for minute in (20, 21, 45, 59)]
    boundaries += [datetime(2024, 3, 1, 0, minute, tzinfo=UTC) for minute in (0, 15, 20, 30, 59)]
    boundaries += [datetime(2023, 12, day, tzinfo=UTC) for day in (20, 23, 25, 31)]
    boundaries += [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 8, 15, 22)]
    edges = {shifted for at in {*rows.TIMES, *boundaries} for shifted in (at, at + rows.MICROSECOND)}
    edges |= {at - rows.MICROSECOND for at in boundaries}
    past = sorted({at for at in edges if at < rows.LATEST} | {datetime.min.replace(tzinfo=UTC)})
    future = [*(datetime(2100, 1, day, tzinfo=UTC) for day in (1, 4, 5, 11)), rows.LATEST]
    relative = ["now-3w", "now-1d", "now-90m", "now", "now+10s", "now+6h"]
    return [
        *(_time_text(at, style) for style, at in enumerate(past)),
        *relative,
        *(_time_text(at, style) for style, at in enumerate(future)),
        datetime.max.replace(tzinfo=UTC).isoformat(),
    ]


INSTANTS = _instants()
SAMPLES: dict[str, list[Any]] = {
    "symbol": ["BTC", "btc", "Eth", "OLD", "NIL", "wee", "XXX", "", "%"],
    "symbols": [[], ["btc"], ["ETH", "old", "BTC"], ["XXX"], ["BTC", "BTC", ""]],
    "search": ["", "B", "coin", "COIN", "%", "_", "\\", "0%_p", '"', "éther", "ÉTHER", "日", "xyz"],
    "name": ["lstm", "LSTM", "last price", "nobody"],
    "version": ["1.0", "2.0-β", "3"],
    "modelName": ["lstm", "LSTM", "last price", "nobody"],
    "modelVersion": ["1.0", "2.0-β", "3"],
    "minConfidence": [0, 0.1, 0.3, 0.1 + 0.2, 0.5, 1, 1.0, -1, 2.5],
    "source": ["reddit", "Reddit", "x", "nobody"],
    # Shorter intervals are rejected for most coins.
    "interval": [*("W1", "W1", "D1", "D1", "H4", "H4", "H1"), "M30", "M15", "M5", "M1"],
}


def arguments(random: Random, pool: ValuePool, field: GraphQLField, room: int) -> tuple[dict[str, Any], int]:
    """Random arguments of a field, and about how many rows it then has: at most room."""
    chosen: dict[str, Any] = {}
    rest = dict(field.args)
    count = 1
    if rest.pop("orderBy", None):
        order = random.choice(["-", None, "NEWEST_FIRST", "OLDEST_FIRST", "OLDEST_FIRST"])
        if order != "-":
            chosen["orderBy"] = order and Name(order)
    if "after" in rest:
        rest = {name: argument for name, argument in rest.items() if name not in ("first", "after", "last", "before")}
        type_name = get_named_type(field.type).name.removesuffix("Connection")
        newest_first = type_name in BY_TIME and chosen.get("orderBy") != "OLDEST_FIRST"
        chosen |= _paging(random, pool.cursors.get((type_name, newest_first), []), room)
        count = chosen.get("first") or chosen.get("last") or DEFAULT_PAGE
    if "from" in rest:
        rest = {name: argument for name, argument in rest.items() if name not in ("from", "to", "last")}
        chosen |= _range(random)
        count = MAX_CANDLES
        if room < count or random.random() < 0.5:
            chosen["last"] = count = random.randint(1, min(room, 30))
    for name, argument in rest.items():
        if is_non_null_type(argument.type) or random.random() < 0.5:
            chosen[name] = value(random, pool, name, argument.type)
    if "ids" in chosen:
        count = max(len(chosen["ids"]), 1)
    return chosen, count


def _paging(random: Random, cursors: list[str], room: int) -> dict[str, Any]:
    size = random.randint(1, min(room, 8))
    sizes: list[dict[str, Any]] = [{"first": size}, {"last": size}, {"first": None, "last": size}]
    if room >= DEFAULT_PAGE:
        sizes += [{}, {}, {"first": None}]
    paging = random.choice(sizes)
    for name in ("after", "before"):
        if cursors and random.random() < 0.3:
            paging[name] = random.choice(cursors)
        elif random.random() < 0.2:
            paging[name] = None
    return paging


def _range(random: Random) -> dict[str, Any]:
    """A time range with none, one or both of its bounds."""
    since, until = (INSTANTS[position] for position in sorted(random.choices(range(len(INSTANTS)), k=2)))
    bounds: dict[str, Any] = {"from": since, "to": until}
    if since == until and since.startswith("now"):
        # The clock is read twice, so the range could end before it begins.
        del bounds["from"]
    for name in list(bounds):
        if random.random() < 0.2:
            bounds[name] = None
        elif random.random() < 0.2:
            del bounds[name]
    return bounds


def value(random: Random, pool: ValuePool, name: str, type_: Any) -> Any:
    """A random value for an argument or an input field of this name and type."""
    named: Any = get_named_type(type_)
    if not is_non_null_type(type_) and random.random() < 0.1:
        return None
    if named.name == "TimeRange":
        return _range(random)
    if is_input_object_type(named):
        fields = {key: field for key, field in named.fields.items() if random.random() < 0.25}
        return {key: value(random, pool, key, field.type) for key, field in fields.items()}
    if name == "ids":
        return random.choices(values(pool, "id", GraphQLID), k=random.randint(0, 6))
    return random.choice(values(pool, name, type_))


def values(pool: ValuePool, name: str, type_: Any) -> list[Any]:
    """All sample values of an argument or an input field of this name and type."""
    named: Any = get_named_type(type_)
    if named.name == "TimeRange":
        some = INSTANTS[::7]
        between = [{"from": since, "to": until} for since, until in zip(some, some[4:], strict=False)]
        return [
            *between,
            *({"from": at} for at in some),
            *({"to": at} for at in some),
            {},
            {"from": some[3], "to": some[3]},
        ]
    if named.name == "ID":
        return pool.ids["Strategy"] if name == "strategyId" else [id_ for some in pool.ids.values() for id_ in some]
    if is_enum_type(named):
        names = [Name(key) for key in SAMPLES.get(name, named.values) if key]
        return [[], *([one, other] for one in names for other in names)] if _is_list(type_) else names
    if named.name == "Boolean":
        return [True, False]
    return SAMPLES[name]


def _is_list(type_: Any) -> bool:
    return is_list_type(get_nullable_type(type_))
