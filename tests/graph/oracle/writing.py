"""Writes values into an operation: as literals or variables, these given, defaulted or overridden."""

from random import Random
from typing import Any

import orjson
from graphql import get_nullable_type, is_input_object_type, is_list_type, is_non_null_type

from tests.graph.oracle.values import Name

LITERAL, GIVEN, DEFAULTED, OVERRIDDEN = "literal", "given", "defaulted", "overridden"
WAYS = [LITERAL] * 5 + [GIVEN] * 2 + [DEFAULTED, OVERRIDDEN]


class Writer:
    """Writes values, and collects the variables that they use."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.definitions: list[str] = []
        self.values: dict[str, Any] = {}

    def arguments(self, arguments: dict[str, Any], types: dict[str, Any]) -> str:
        written = [f"{name}: {self.value(value, types[name].type)}" for name, value in arguments.items()]
        return f"({', '.join(written)})" if written else ""

    def value(self, value: Any, type_: Any) -> str:
        way = self._random.choice(WAYS)
        if way != LITERAL:
            return self._variable(value, type_, way)
        bare = get_nullable_type(type_)
        if value is None:
            return "null"
        if is_input_object_type(bare):
            fields = [f"{key}: {self.value(part, bare.fields[key].type)}" for key, part in value.items()]
            return f"{{{', '.join(fields)}}}"
        if is_list_type(bare):
            parts = [self.value(part, bare.of_type) for part in value]
            # A list of one item may be written without brackets, unless the item is a variable.
            is_single = len(parts) == 1 and not parts[0].startswith("$") and self._random.random() < 0.5
            return parts[0] if is_single else f"[{', '.join(parts)}]"
        return literal(value)

    def directive(self) -> str:
        """Mostly no directive, or one that keeps the selection; sometimes one that drops it."""
        if self._random.random() < 0.8:
            return ""
        name, keeps = self._random.choice([("include", True), ("skip", False)])
        condition = keeps if self._random.random() < 0.7 else not keeps
        way = self._random.choice(WAYS)
        written = literal(condition) if way == LITERAL else self._define(condition, "Boolean!", way)
        return f" @{name}(if: {written})"

    def _variable(self, value: Any, type_: Any, way: str) -> str:
        name = str(type_)
        is_required = is_non_null_type(type_)
        if value is not None and not is_required and self._random.random() < 0.5:
            name += "!"
        if is_required and way != GIVEN and self._random.random() < 0.5:
            # A variable of a nullable type is valid for a non-null argument if it has a default.
            name = name.removesuffix("!")
        return self._define(value, name, way)

    def _define(self, value: Any, type_: str, way: str) -> str:
        name = f"v{len(self.definitions)}"
        if way == DEFAULTED and value is None:
            # Neither a value nor a default: the same as null.
            self.definitions.append(f"${name}: {type_}")
        elif way == DEFAULTED:
            self.definitions.append(f"${name}: {type_} = {literal(value)}")
        else:
            # OVERRIDDEN: a default that the value overrides; the value itself is valid for any type.
            default = f" = {literal(value)}" if way == OVERRIDDEN and value is not None else ""
            self.definitions.append(f"${name}: {type_}{default}")
            self.values[name] = value
        return f"${name}"


def literal(value: Any) -> str:
    match value:
        case Name():
            return str(value)
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {literal(part)}' for key, part in value.items())}}}"
        case float():
            return repr(value)
    # Other values are written in GraphQL as they are in JSON.
    return orjson.dumps(value).decode()
