"""Values that each request brings anew, in a statement that is compiled once.

While a plan is compiled, resolvers get a Later in place of a variable's value. In a statement it is a parameter. What a
resolver reckons from it, such as a key from a global id, is a Later too: worked_out() makes it, and reckons it again at
each request, checks included. What decides over the shape of the statement is asked for by known(), and becomes part
of the plan's key, as nulls, booleans, enums, the fields of input objects and the lengths of lists always are. A
resolver that looks at a Later in another way fails; it is called again with values, as if it had asked by known().
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
Read: TypeAlias = Callable[[Values], Any]

# What a parameter may be, and how PostgreSQL calls it.
TYPES: dict[type, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    float: Double(),
    Decimal: Numeric(),
    datetime: DateTime(timezone=True),
}


class LooksAtValue(Exception):
    """A resolver asked a Later for what only a value tells."""


class Momentary:
    """A literal that means something else at each request, such as now-1h. text is how it was written.

    grain: the seconds after which it means something so different that an answer to it is to be made anew.
    """

    text: str
    grain: float

    def again(self) -> Any:
        """What it means now."""
        raise NotImplementedError


class Planning:
    """What is noted while one plan is compiled.

    known: readings that the plan takes for granted, by who they are of. worked_out: every value that was worked out;
    each may refuse a request, whether the statement needs it or not. laters: how many Laters were made.
    """

    def __init__(self) -> None:
        self.known: dict[Hashable, Read] = {}
        self.worked_out: list[Later] = []
        self.laters = 0


class Later(BindParameter[Any]):
    """A variable, or what is worked out from variables.

    identity: who it is, unlike any literal. read gives it; now is what it is for the present request.
    """

    inherit_cache = True

    def __init__(
        self, identity: Hashable, read: Read, now: Any, planning: Planning, type_: TypeEngine[Any] | None = None
    ) -> None:
        super().__init__(None, now, type_=type_ or _type_of(now), unique=True)
        self.identity = identity
        self.read = read
        self.now = now
        self.planning = planning
        planning.laters += 1

    def __bool__(self) -> bool:
        raise LooksAtValue

    def __format__(self, _specification: str) -> str:
        raise LooksAtValue

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, ClauseElement):
            raise LooksAtValue
        return super().__eq__(other)

    def __ne__(self, other: Any) -> Any:
        if not isinstance(other, ClauseElement):
            raise LooksAtValue
        return super().__ne__(other)

    # As they are compared with columns, Laters are told apart by identity.
    __hash__ = BindParameter.__hash__


def given_beside(name: str, now: int | None, planning: Planning) -> Later:
    """A number that comes with each request beside its variables, under a name that none of them can have."""
    return Later((given_beside, name), itemgetter(name), now, planning, BigInteger())


def worked_out(function: Callable[..., Any], *inputs: Any, type_: TypeEngine[Any] | None = None) -> Any:
    """function(*inputs); where a Later is among them, a Later that calls it again at each request.

    type_: of the parameter, where the value does not tell. An exception refuses the request, now or then.
    """
    now = function(*known_now(inputs))
    later = _first_later(inputs)
    if later is None:
        return now
    # It outlives the Laters, so it must not hold on to them.
    read_inputs = reader(inputs)
    result = Later(
        (function, _identity(inputs)), lambda values: function(*read_inputs(values)), now, later.planning, type_
    )
    later.planning.worked_out.append(result)
    return result


def known(value: Any) -> Any:
    """The value itself, which becomes part of the plan's key where it is, or holds, a Later."""
    return _each_later(value, _taken_for_granted)


def known_now(value: Any) -> Any:
    """The value for the present request, which the plan must not depend on."""
    return _each_later(value, lambda later: later.now)


def holds_later(value: Any) -> bool:
    return _first_later(value) is not None


def without_moments(value: Any, planning: Planning) -> Any:
    """The arguments of a field, with a Later in the place of each literal that means something else each time."""
    if isinstance(value, Momentary):
        return Later((Momentary, value.text), lambda _: value.again(), value, planning)
    if isinstance(value, list):
        return [without_moments(part, planning) for part in value]
    if isinstance(value, dict):
        return {key: without_moments(part, planning) for key, part in value.items()}
    return value


def _taken_for_granted(later: Later) -> Any:
    later.planning.known.setdefault(later.identity, later.read)
    return later.now


def reader(value: Any) -> Read:
    """Reads every Later in a value."""
    if isinstance(value, Later):
        return value.read
    if isinstance(value, list | tuple):
        kind, readers = type(value), [reader(part) for part in value]
        return lambda values: kind([read(values) for read in readers])
    return lambda _: value


def _each_later(value: Any, change: Callable[[Later], Any]) -> Any:
    """The same value with every Later in it changed."""
    if isinstance(value, Later):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)([_each_later(part, change) for part in value])
    if isinstance(value, dict):
        return {key: _each_later(part, change) for key, part in value.items()}
    return value


def _first_later(value: Any) -> Later | None:
    if isinstance(value, Later):
        return value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((later for later in map(_first_later, value) if later is not None), None)
    return None


def _identity(value: Any) -> Hashable:
    return hashable(_each_later(value, lambda later: later.identity))


class Readings:
    """What plans take for granted of variables, beyond their shape: part of the key of such plans."""

    def __init__(self, known: Mapping[Hashable, Read]) -> None:
        self.known = known

    def of(self, values: Values) -> Hashable:
        return tuple([(identity, _reading(read, values)) for identity, read in self.known.items()])


def _reading(read: Read, values: Values) -> Hashable:
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
        raise LooksAtValue
    return TYPES[of]
