"""Answers, and the JSON that they are sent as."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from graphql import ExecutionResult, GraphQLError

from cache.answers import Source
from cache.buckets import Level
from cache.entries import Entry
from db.errors import Rejected
from graph.compiler.plans import Plan
from graph.errors import present

NULL = (b"null",)
# These enclose the data of an answer without errors.
DATA, END = b'{"data":', b"}"


class ReportedCost(NamedTuple):
    """The cost of an operation, in points: before it ran, after it ran, and the limit for one operation."""

    requested: float
    actual: float
    limit: float


class Answer(NamedTuple):
    """The answer to a request.

    data: JSON, in parts, which may be large and are copied once; None if the operation was not executed, or if entry
    holds the answer. errors: as they are sent. is_private: whether the data may be shown to this caller only.
    entry: the stored answer, or one that may be stored. source: where it was found.
    cost: set if the client requested it. level: the points that the caller has left, if its requests are counted.
    """

    data: Sequence[bytes | memoryview] | None
    errors: Sequence[Mapping[str, Any]] = ()
    is_private: bool = True
    entry: Entry | None = None
    source: Source = Source.BYPASS
    cost: ReportedCost | None = None
    level: Level | None = None

    @property
    def is_request_error(self) -> bool:
        """Whether the operation was not executed at all."""
        return self.data is None and self.entry is None

    @property
    def body(self) -> bytes:
        return write(self) if self.entry is None else self.entry.body


def write(answer: Answer) -> bytes:
    """The JSON of an answer that is not stored."""
    parts: list[bytes | memoryview] = [b"{"]
    if answer.errors:
        parts += [b'"errors":', orjson.dumps(answer.errors), b","]
    if answer.data is not None:
        parts += [b'"data":', *answer.data, b","]
    if answer.cost is not None:
        parts += [b'"extensions":', orjson.dumps({"cost": answer.cost._asdict()}), b","]
    parts[-1] = END
    return b"".join(parts)


def reject(errors: Sequence[GraphQLError], code: str, level: Level | None = None) -> Answer:
    """The answer to a request whose operation is not executed. code: of errors that have none."""
    return Answer(None, present(errors, request_code=code), level=level)


def stored(entry: Entry, source: Source, *, is_private: bool) -> Answer:
    """The answer from an entry of the cache, which has no errors."""
    return Answer(None, (), is_private, entry, source)


def detached(answer: Answer) -> Answer:
    """The same answer with its data taken out of the entry, so that more can be sent beside it."""
    if answer.entry is None:
        return answer
    body = memoryview(answer.entry.body)
    return answer._replace(data=(body[len(DATA) : -len(END)],), entry=None)


def executed(
    data: Sequence[bytes | memoryview], errors: Sequence[GraphQLError] = (), *, is_private: bool = True
) -> Answer:
    """The answer of an operation that was executed."""
    if not errors:
        return Answer(data, (), is_private)
    # Root fields fail in the order in which their statements end: sorted, the response does not depend on it.
    in_order = sorted(errors, key=lambda error: list(error.positions or []))
    return Answer(data, present(in_order), is_private)


def planned(plan: Plan, row: Sequence[Any] | Exception, beside: ExecutionResult | None = None) -> Answer | None:
    """The answer of a plan, from the row of its statement, or from the error of the statement.

    beside: the result of the root fields that are not rows. None if the executor has to answer, because it finds the
    field that an error belongs to.
    """
    if isinstance(row, Exception):
        return None if isinstance(row, Rejected) else _failed(plan, row, beside)
    if not all(value is not None or root.is_nullable for root, value in zip(plan.columns, row, strict=True)):
        return None
    is_private = plan.policy.is_private
    if beside is None:
        return Answer(plan.data(row, {}), (), is_private)
    data = NULL if beside.data is None else plan.data(row, beside.data)
    return executed(data, beside.errors or (), is_private=is_private)


def _failed(plan: Plan, failure: Exception, beside: ExecutionResult | None) -> Answer:
    """The answer of a plan whose statement failed: an error for each field that is a column of it."""
    errors = [root.error(failure) for root in plan.columns]
    others = (beside.data if beside else {}) or {}
    if beside is not None:
        errors += beside.errors or []
    is_null = not all(root.is_nullable for root in plan.columns) or (beside is not None and beside.data is None)
    data = NULL if is_null else plan.data([None] * len(plan.columns), others)
    return executed(data, errors, is_private=plan.policy.is_private)
