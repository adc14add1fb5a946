"""Deferred values: parameters whose value comes with each request, in a statement that is compiled once.

While a plan is compiled, a resolver gets a DeferredValue in place of a variable's value: a statement's parameter.
derive() computes another value from it, such as a key from a global id, and computes it again for each request, checks
included. What decides the shape of the statement is read by specialize() and becomes part of the plan's key, as nulls,
booleans, enums, the fields of input objects and the lengths of lists always are. A resolver that needs the value itself
raises ValueRequired; it is called again with values, as if it had read them by specialize().
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

# What a parameter may be, and how PostgreSQL calls it.
TYPES: dict[type, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    float: Double(),
    Decimal: Numeric(),
    datetime: DateTime(timezone=True),
}


class ValueRequired(Exception):
    """A resolver asked a DeferredValue for what only a value tells."""


class RelativeLiteral:
    """A literal that means something else at each request, such as now-1h. text is how it was written.

    grain: the seconds after which it means something so different that an answer to it is to be made anew.
    """

    text: str
    grain: float

    def evaluate(self) -> Any:
        """What it means now."""
        raise NotImplementedError


class Planning:
    """What is noted while one plan is compiled.

    known: readings that the plan takes for granted, by who they are of. derived: every value that was derived;
    each may refuse a request, whether the statement needs it or not. laters: how many DeferredValues were made.
    """

    def __init__(self) -> None:
        self.specialized: dict[Hashable, ReadValue] = {}
        self.derived: list[DeferredValue] = []
        self.deferred_values = 0


class DeferredValue(BindParameter[Any]):
    """A variable, or what is worked out from variables.

    identity: who it is, unlike any literal. read gives it; now is what it is for the present request.
    """

    inherit_cache = True

    def __init__(
        self, identity: Hashable, read: ReadValue, now: Any, planning: Planning, type_: TypeEngine[Any] | None = None
    ) -> None:
        super().__init__(None, now, type_=type_ or _type_of(now), unique=True)
        self.identity = identity
        self.read = read
        self.now = now
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

    # As they are compared with columns, DeferredValues are told apart by identity.
    __hash__ = BindParameter.__hash__


def request_parameter(name: str, now: int | None, planning: Planning) -> DeferredValue:
    """A number that comes with each request beside its variables, under a name that none of them can have."""
    return DeferredValue((request_parameter, name), itemgetter(name), now, planning, BigInteger())


def derive(function: Callable[..., Any], *inputs: Any, type_: TypeEngine[Any] | None = None) -> Any:
    """function(*inputs); where a DeferredValue is among them, a DeferredValue that calls it again at each request.

    type_: of the parameter, where the value does not tell. An exception refuses the request, now or then.
    """
    now = function(*current_value(inputs))
    deferred = _first_deferred(inputs)
    if deferred is None:
        return now
    # It outlives the DeferredValues, so it must not hold on to them.
    read_inputs = reader(inputs)
    result = DeferredValue(
        (function, _identity(inputs)), lambda values: function(*read_inputs(values)), now, deferred.planning, type_
    )
    deferred.planning.derived.append(result)
    return result


def specialize(value: Any) -> Any:
    """The value itself, which becomes part of the plan's key where it is, or holds, a DeferredValue."""
    return _each_deferred(value, _taken_for_granted)


def current_value(value: Any) -> Any:
    """The value for the present request, which the plan must not depend on."""
    return _each_deferred(value, lambda deferred: deferred.now)


def holds_deferred(value: Any) -> bool:
    return _first_deferred(value) is not None


def defer_relative_literals(value: Any, planning: Planning) -> Any:
    """The arguments of a field, with a DeferredValue for each literal that is relative to now."""
    if isinstance(value, RelativeLiteral):
        return DeferredValue((RelativeLiteral, value.text), lambda _: value.evaluate(), value, planning)
    if isinstance(value, list):
        return [defer_relative_literals(part, planning) for part in value]
    if isinstance(value, dict):
        return {key: defer_relative_literals(part, planning) for key, part in value.items()}
    return value


def _taken_for_granted(deferred: DeferredValue) -> Any:
    deferred.planning.specialized.setdefault(deferred.identity, deferred.read)
    return deferred.now


def reader(value: Any) -> ReadValue:
    """Reads every DeferredValue in a value."""
    if isinstance(value, DeferredValue):
        return value.read
    if isinstance(value, list | tuple):
        kind, readers = type(value), [reader(part) for part in value]
        return lambda values: kind([read(values) for read in readers])
    return lambda _: value


def _each_deferred(value: Any, change: Callable[[DeferredValue], Any]) -> Any:
    """The same value with every DeferredValue in it changed."""
    if isinstance(value, DeferredValue):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)([_each_deferred(part, change) for part in value])
    if isinstance(value, dict):
        return {key: _each_deferred(part, change) for key, part in value.items()}
    return value


def _first_deferred(value: Any) -> DeferredValue | None:
    if isinstance(value, DeferredValue):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((deferred for deferred in map(_first_deferred, value) if deferred is not None), None)
    return None


def _identity(value: Any) -> Hashable:
    return hashable(_each_deferred(value, lambda deferred: deferred.identity))


class Specializations:
    """What plans take for granted of variables, beyond their shape: part of the key of such plans."""

    def __init__(self, known: Mapping[Hashable, ReadValue]) -> None:
        self.specialized = known

    def of(self, values: Values) -> Hashable:
        return tuple([(identity, _reading(read, values)) for identity, read in self.specialized.items()])


def _reading(read: ReadValue, values: Values) -> Hashable:
    try:
        return hashable(read(values))
    except Exception:
        # What is wrong with it is told when the plan itself reads it.
        return Exception


def hashable(value: Any) -> Hashable:
    if isinstance(value, list | tuple):
        return tuple([hashable(part) for part in value])
    if isinstance(value, dict):
        return tuple([(key, hashable(part)) for key, part in value.items()])
    return value  # type: ignore[no-any-return]


def parameter_type(value: Any) -> type | None:
    """Which of TYPES a value is of; None where it cannot be a parameter."""
    if type(value) in TYPES:
        return type(value)
    # A bool is an int, but no number.
    return next((known for known in TYPES if isinstance(value, known)), None) if not isinstance(value, bool) else None


def _type_of(value: Any) -> TypeEngine[Any]:
    if isinstance(value, list) and value:
        return ARRAY(_type_of(value[0]))
    of = parameter_type(value)
    if of is None:
        raise ValueRequired
    return TYPES[of]
