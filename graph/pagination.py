"""Connections, as Relay has them: pages of rows by keyset cursors, forward and backward."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.extensions.field_extension import FieldExtension
from strawberry.types import get_object_definition
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from db.queries.listings import Listing
from graph.compiler.cost import WEIGHT, Arguments, Weight
from graph.compiler.cursors import InvalidCursor, position_in
from graph.compiler.deferred import derive
from graph.compiler.executor import RELATION
from graph.compiler.pages import Page
from graph.compiler.symbols import Row, columns_of
from graph.errors import InputError
from graph.fields import Field

NodeType = TypeVar("NodeType")
MAX_PAGE = 100
DEFAULT_PAGE = 50


@strawberry.enum(description="The direction of a list that is ordered by time.")
class TimeOrder(Enum):
    NEWEST_FIRST = strawberry.enum_value("NEWEST_FIRST", description="The newest comes first.")
    OLDEST_FIRST = strawberry.enum_value("OLDEST_FIRST", description="The oldest comes first.")


@strawberry.type(description="Where a page stands in its connection.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether rows precede this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first row: pass it as before.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last row: pass it as after.")


@strawberry.type(description="A row and its place.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(description="The row's place in this connection: opaque, and stable under inserts.")
    node: NodeType = strawberry.field(description="The row.")


@strawberry.type(description="One page of rows.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The rows of this page, each with its cursor.")
    nodes: list[NodeType] = strawberry.field(description="The rows of this page, where cursors are not needed.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the connection.")
    total_count: int = strawberry.field(description="All rows of the connection. It is counted only when selected.")


def _asked_rows(arguments: Arguments) -> float:
    """How many rows a page may have; one that will be refused counts as a full one."""
    asked = arguments.get("last") if arguments.get("first") is None else arguments.get("first")
    if asked is None:
        return DEFAULT_PAGE
    return asked if isinstance(asked, int) and 0 <= asked <= MAX_PAGE else MAX_PAGE


def _smaller_page(arguments: Arguments, rows: float) -> tuple[str, int]:
    return "last" if isinstance(arguments.get("last"), int) else "first", int(rows)


PAGE = Weight(size=_asked_rows, rows_in_lists=True, suggest=_smaller_page)


def connection(node_type: Any, description: str) -> Field:
    """A field whose resolver returns a Listing, which clients read in pages."""
    field: Field = strawberry.field(
        graphql_type=Connection[node_type],
        description=description,
        extensions=[Paged()],
        metadata={RELATION: True, WEIGHT: PAGE},
        # A page is kept as long as its rows are.
        directives=get_object_definition(node_type, strict=True).directives or (),
    )
    return field


class Paged(FieldExtension):
    """Adds the four arguments of a page to a field, and cuts its listing to them."""

    def apply(self, field: StrawberryField) -> None:
        paging = [
            _argument("first", int, f"Rows from the start of the range: 1 to {MAX_PAGE}, {DEFAULT_PAGE} by default."),
            _argument("after", str, "Only rows after this cursor."),
            _argument("last", int, f"Rows from the end of the range, instead of first: 1 to {MAX_PAGE}."),
            _argument("before", str, "Only rows before this cursor."),
        ]
        field.arguments = [*paging, *field.arguments]

    def resolve(
        self,
        next_: Callable[..., Listing],
        source: Row,
        info: strawberry.Info,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        **arguments: Any,
    ) -> Page:
        if first is not None and last is not None:
            message = "Give first to read forward or last to read backward, not both."
            raise InputError("INVALID_PAGE_SIZE", message, ["last"])
        listing = next_(source, info, **arguments)
        return Page(
            listing.rows,
            listing.order,
            listing.keys,
            listing.descending,
            limit=_limit(first, last),
            backward=last is not None,
            after=_position("after", after, listing),
            before=_position("before", before, listing),
        )


def _argument(name: str, type_: type, description: str) -> StrawberryArgument:
    return StrawberryArgument(
        python_name=name,
        graphql_name=None,
        type_annotation=StrawberryAnnotation(type_ | None),
        description=description,
        default=None,
    )


def _limit(first: int | None, last: int | None) -> Any:
    if first is None and last is None:
        return DEFAULT_PAGE
    return derive(_size, "first", first) if last is None else derive(_size, "last", last)


def _size(argument: str, size: int) -> int:
    if not 1 <= size <= MAX_PAGE:
        message = f"{argument} must be between 1 and {MAX_PAGE}, but is {size}."
        raise InputError("INVALID_PAGE_SIZE", message, [argument])
    return size


def _position(argument: str, cursor: str | None, listing: Listing) -> Sequence[Any] | None:
    if cursor is None:
        return None
    row = columns_of(listing.rows)
    try:
        return position_in(listing.order, [getattr(row, key) for key in listing.keys], cursor)
    except InvalidCursor:
        message = f"{argument} is not a cursor of this connection: pass on what edges or pageInfo gave, unchanged."
        raise InputError("INVALID_CURSOR", message, [argument]) from None


Order = Annotated[TimeOrder | None, strawberry.argument(description="Newest or oldest first.")]


def is_newest_first(order: TimeOrder | None) -> bool:
    return order is not TimeOrder.OLDEST_FIRST
