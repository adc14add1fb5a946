"""A GraphQL request, as the pipeline receives it."""

from typing import Any, NamedTuple

from graph.identity.callers import ANONYMOUS, Caller


class GraphQLRequest(NamedTuple):
    """An operation as a client sends it.

    query: the text of the document; None if only its hash (or id) is sent, as sha256. name: the operationName.
    reports_cost: whether the response carries the operation's cost.
    """

    query: str | None
    variables: dict[str, Any]
    name: str | None
    sha256: str | None = None
    caller: Caller = ANONYMOUS
    reports_cost: bool = False
