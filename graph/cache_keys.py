"""What a plan's answer is kept under, and what it depends on.

    response:{operation}:{symbols}:{digest of the plan and its arguments}
    private:…                               the same, where it is not for everybody

Equal for whatever asks for the same, however it is written. Who asks is an argument of a plan whose rows depend on it.
A time relative to now stands in a key as it was written: for as long as its grain, it means the same.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from cache.answers import CachedQuery
from cache.changes import Tag
from cache.tiers import Tier
from graph.compiler.deferred import RelativeLiteral, Values
from graph.compiler.plans import Plan

MAX_SYMBOL = 20
# Of names that clients choose, in a key.
MAX_NAME, MAX_SHOWN = 64, 10


def cached_query(plan: Plan, name: str | None, arguments: Sequence[Any], values: Values) -> CachedQuery:
    """arguments: those of the plan for these values."""
    tags = frozenset(_tags(plan, values))
    symbols = {tag.member for tag in tags if tag.member is not None}
    digest = hashlib.blake2b(repr([_lasting(argument) for argument in arguments]).encode(), key=plan.digest)
    kind = "private" if plan.policy.is_private else "response"
    key = f"{kind}:{(name or '-')[:MAX_NAME]}:{_shown(symbols)}:{digest.hexdigest()[:32]}"
    return CachedQuery(key, tags, Tier.of(plan.policy.max_age_seconds(values)), plan.policy.is_private)


def lifetime_seconds(plan: Plan, arguments: Sequence[Any], values: Values) -> float:
    """For how long the plan's answer may be kept."""
    grains = [argument.grain for argument in arguments if isinstance(argument, RelativeLiteral)]
    return min([plan.policy.max_age_seconds(values), *grains])


def _tags(plan: Plan, values: Values) -> Iterator[Tag]:
    for table, member in plan.depends_on:
        name = None if member is None else member(values)
        yield Tag(table, name.upper() if isinstance(name, str) and _is_plain(name) else None)


def _is_plain(name: str) -> bool:
    """Whether its capitals are those that PostgreSQL sees: some languages have others of i, and beyond ASCII.

    What is longer than any symbol names no coin, and is not worth its memory.
    """
    return len(name) <= MAX_SYMBOL and name.isascii() and "i" not in name


def _shown(symbols: Collection[str]) -> str:
    """For people: what is no symbol could be anything."""
    return ",".join(sorted(name for name in symbols if name.isalnum())[:MAX_SHOWN]) or "-"


def _lasting(argument: Any) -> Any:
    return ("relative", argument.text) if isinstance(argument, RelativeLiteral) else argument
