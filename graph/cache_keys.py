"""Keys, tags and lifetimes of answers in the cache.

    response:{operation}:{symbols}:{digest of the plan and its arguments}
    private:…                               the same for an answer that depends on the caller

Requests for the same rows have the same key, however they are written. The user's id is an argument of a plan whose
rows depend on it. A time relative to now stands in a key as it was written: within its grain, the answer is the same.
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
# Limits in a key: characters of the operation's name, and symbols.
MAX_NAME, MAX_SHOWN = 64, 10


def cached_query(plan: Plan, name: str | None, arguments: Sequence[Any], values: Values) -> CachedQuery:
    """The key, tags and tier of a plan's answer for these values. arguments: those of the plan's statement."""
    tags = frozenset(_tags(plan, values))
    symbols = {tag.member for tag in tags if tag.member is not None}
    digest = hashlib.blake2b(repr([_in_key(argument) for argument in arguments]).encode(), key=plan.digest)
    kind = "private" if plan.policy.is_private else "response"
    key = f"{kind}:{(name or '-')[:MAX_NAME]}:{_readable(symbols)}:{digest.hexdigest()[:32]}"
    return CachedQuery(key, tags, Tier.of(plan.policy.max_age_seconds(values)), plan.policy.is_private)


def lifetime_seconds(plan: Plan, arguments: Sequence[Any], values: Values) -> float:
    """For how many seconds the plan's answer may be stored."""
    grains = [argument.grain for argument in arguments if isinstance(argument, RelativeLiteral)]
    return min([plan.policy.max_age_seconds(values), *grains])


def _tags(plan: Plan, values: Values) -> Iterator[Tag]:
    for table, member in plan.depends_on:
        name = None if member is None else member(values)
        yield Tag(table, name.upper() if isinstance(name, str) and _is_plain(name) else None)


def _is_plain(name: str) -> bool:
    """Whether Python and PostgreSQL agree on the upper case of a name.

    In some languages they differ for i and beyond ASCII. A name longer than any symbol is not that of a coin: a tag of
    its own would waste memory.
    """
    return len(name) <= MAX_SYMBOL and name.isascii() and "i" not in name


def _readable(symbols: Collection[str]) -> str:
    """The part of a key that people search for. Other names are left out: they may hold any character."""
    return ",".join(sorted(name for name in symbols if name.isalnum())[:MAX_SHOWN]) or "-"


def _in_key(argument: Any) -> Any:
    return ("relative", argument.text) if isinstance(argument, RelativeLiteral) else argument
