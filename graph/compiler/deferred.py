"""Deferred values: parameters whose value comes with each request, in a statement that is compiled once.

While a plan is compiled, a resolver gets a DeferredValue in place of a variable's value: a parameter of the statement.
derive() computes another value from it, such as a key from a global id, and does so again for each request, including
its checks. specialize() reads a value that decides the shape of the statement: it becomes part of the plan's key, as
nulls, booleans, enums, the fields of input objects and the lengths of lists always are. A resolver that needs the value
itself raises ValueRequired; it is called again with values, as if it had read them by specialize().
"""

from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import BigInteger, BindParameter, ClauseElement, DateTime, Double, Numeric, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

# The coerced variables of a request, by name.
Values: TypeAlias = Mapping[str, Any]
ReadValue: TypeAlias = Callable[[Values], Any]

# The types that a parameter may have, in Python and in PostgreSQL.
TYPES: dict[type, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    float: Double(),
    Decimal: Numeric(),
    datetime: DateTime(timezone=True),
}


class ValueRequired(Exception):
    """A resolver used a DeferredValue where the value itself is needed."""


class RelativeLiteral:
    """A literal whose value depends on the time of the request, such as now-1h. text: the literal as written.

    grain: for how many seconds an answer may be reused although the value moves on.
    """

    text: str
    grain: float

    def evaluate(self) -> Any:
        """The value at this moment."""
        raise NotImplementedError


class Planning:
    """Records of the compilation of one plan.

    specialized: how to read the values that the plan is specialized for, by their origin. derived: all derived values;
    each may raise for a request, whether the statement uses it or not. deferred_values: how many were created.
    """

    def __init__(self) -> None:
        self.specialized: dict[Hashable, ReadValue] = {}
        self.derived: list[DeferredValue] = []
        self.deferred_values = 0


class DeferredValue(BindParameter[Any]):
    """The value of a variable, or one derived from variables.

    origin: where the value comes from, equal for two values that are read in the same way; no literal equals it.
    read: reads the value from a request's variables. current: the value for the request that compiles the plan.
    """

    inherit_cache = True

    def __init__(
        self, origin: Hashable, read: ReadValue, current: Any, planning: Planning, type_: TypeEngine[Any] | None = None
    ) -> None:
        super().__init__(None, current, type_=type_ or _type_of(current), unique=True)
        self.origin = origin
        self.read = read
        self.current = current
        self.planning = planning
        planning.deferred_values += 1

    def __bool__(self) -> bool:
        raise ValueRequired

    def __format__(self, _specification: str) -> str:
        raise ValueRequired

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, ClauseElement):
            raise ValueRequired
        return super().__eq__(other)

    def __ne__(self, other: Any) -> Any:
        if not isinstance(other, ClauseElement):
            raise ValueRequired
        return super().__ne__(other)

    # Comparison makes an SQL expression, so a DeferredValue is hashed by its identity, as any SQL expression.
    __hash__ = BindParameter.__hash__


def request_parameter(name: str, current: int | None, planning: Planning) -> DeferredValue:
    """An integer that comes with each request, under a name that no variable can have."""
    return DeferredValue((request_parameter, name), itemgetter(name), current, planning, BigInteger())


def derive(function: Callable[..., Any], *inputs: Any, type_: TypeEngine[Any] | None = None) -> Any:
    """function(*inputs); if an input is or holds a DeferredValue, a DeferredValue that calls it again for each request.

    type_: of the parameter, if the value does not determine it. An exception of the function rejects the request.
    """
    current = function(*current_value(inputs))
    deferred = _first_deferred(inputs)
    if deferred is None:
        return current
    # The reader outlives the DeferredValues, so it must not reference them.
    read_inputs = make_reader(inputs)
    result = DeferredValue(
        (function, _origin_of(inputs)), lambda values: function(*read_inputs(values)), current, deferred.planning, type_
    )
    deferred.planning.derived.append(result)
    return result


def specialize(value: Any) -> Any:
    """The value itself; if it is or holds a DeferredValue, it becomes part of the plan's key."""
    return _replace_deferred(value, _specialized_value)


def current_value(value: Any) -> Any:
    """The value for the current request; the plan must not depend on it."""
    return _replace_deferred(value, lambda deferred: deferred.current)


def holds_deferred(value: Any) -> bool:
    return _first_deferred(value) is not None


def defer_relative_literals(value: Any, planning: Planning) -> Any:
    """The arguments of a field, with a DeferredValue in place of each literal that is relative to now."""
    if isinstance(value, RelativeLiteral):
        return DeferredValue((RelativeLiteral, value.text), lambda _: value.evaluate(), value, planning)
    if isinstance(value, list):
        return [defer_relative_literals(part, planning) for part in value]
    if isinstance(value, dict):
        return {key: defer_relative_literals(part, planning) for key, part in value.items()}
    return value


def _specialized_value(deferred: DeferredValue) -> Any:
    deferred.planning.specialized.setdefault(deferred.origin, deferred.read)
    return deferred.current


def make_reader(value: Any) -> ReadValue:
    """A function that reads the value from a request's variables."""
    if isinstance(value, DeferredValue):
        return value.read
    if isinstance(value, list | tuple):
        kind, readers = type(value), [make_reader(part) for part in value]
        return lambda values: kind([read(values) for read in readers])
    return lambda _: value


def _replace_deferred(value: Any, replace: Callable[[DeferredValue], Any]) -> Any:
    """The same value with every DeferredValue in it replaced."""
    if isinstance(value, DeferredValue):
        return replace(value)
    if isinstance(value, list | tuple):
        return type(value)([_replace_deferred(part, replace) for part in value])
    if isinstance(value, dict):
        return {key: _replace_deferred(part, replace) for key, part in value.items()}
    return value


def _first_deferred(value: Any) -> DeferredValue | None:
    if isinstance(value, DeferredValue):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((deferred for deferred in map(_first_deferred, value) if deferred is not None), None)
    return None


def _origin_of(value: Any) -> Hashable:
    return hashable(_replace_deferred(value, lambda deferred: deferred.origin))


class Specializations:
    """The values that an operation's plans are specialized for, beyond the shape of the variables."""

    def __init__(self, specialized: Mapping[Hashable, ReadValue]) -> None:
        self.specialized = specialized

    def of(self, values: Values) -> Hashable:
        """The part of a plan's key that these variables determine."""
        return tuple([(origin, _read_for_key(read, values)) for origin, read in self.specialized.items()])


def _read_for_key(read: ReadValue, values: Values) -> Hashable:
    try:
        return hashable(read(values))
    except Exception:
        # The error is reported when the plan itself reads the value.
        return Exception


def hashable(value: Any) -> Hashable:
    """The same value with tuples in place of lists and input objects."""
    if isinstance(value, list | tuple):
        return tuple([hashable(part) for part in value])
    if isinstance(value, dict):
        return tuple([(key, hashable(part)) for key, part in value.items()])
    return value  # type: ignore[no-any-return]


def parameter_type(value: Any) -> type | None:
    """The type among TYPES that a value has; None if it cannot be a parameter."""
    if type(value) in TYPES:
        return type(value)
    # In Python a bool is an int; in SQL it is not.
    return next((type_ for type_ in TYPES if isinstance(value, type_)), None) if not isinstance(value, bool) else None


def _type_of(value: Any) -> TypeEngine[Any]:
    if isinstance(value, list) and value:
        return ARRAY(_type_of(value[0]))
    python_type = parameter_type(value)
    if python_type is None:
        raise ValueRequired
    return TYPES[python_type]
