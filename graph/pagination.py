"""Relay connections: pages of rows by keyset cursors, forward and backward."""

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
    NEWEST_FIRST = strawberry.enum_value("NEWEST_FIRST", description="Newest first.")
    OLDEST_FIRST = strawberry.enum_value("OLDEST_FIRST", description="Oldest first.")


@strawberry.type(description="The position of a page in its connection.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether rows precede this page.")
    start_cursor: str | None = strawberry.field(
        description="The cursor of the first row: pass it as `before` to read the page before. null: the page is empty."
    )
    end_cursor: str | None = strawberry.field(
        description="The cursor of the last row: pass it as `after` to read the next page. null: the page is empty."
    )


@strawberry.type(description="A row and its cursor.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(
        description="The position of the row in this connection: opaque, and stable when rows are inserted."
    )
    node: NodeType = strawberry.field(description="The row.")


@strawberry.type(description="One page of rows.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The rows of this page, each with its cursor.")
    nodes: list[NodeType] = strawberry.field(description="The rows of this page, without cursors.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the connection.")
    total_count: int = strawberry.field(description="The number of rows on all pages. It is counted only if selected.")


def _page_size(arguments: Arguments) -> float:
    """The most rows that a page may have; an invalid size, which is rejected later, counts as the largest."""
    size = arguments.get("last") if arguments.get("first") is None else arguments.get("first")
    if size is None:
        return DEFAULT_PAGE
    return size if isinstance(size, int) and 0 <= size <= MAX_PAGE else MAX_PAGE


def _smaller_page(arguments: Arguments, rows: float) -> tuple[str, int]:
    return "last" if isinstance(arguments.get("last"), int) else "first", int(rows)


PAGE = Weight(size=_page_size, rows_in_lists=True, suggest=_smaller_page)


def connection(node_type: Any, description: str) -> Field:
    """A connection field: its resolver returns a Listing, which clients read in pages."""
    field: Field = strawberry.field(
        graphql_type=Connection[node_type],
        description=description,
        extensions=[Paged()],
        metadata={RELATION: True, WEIGHT: PAGE},
        # A page is stored as long as its rows.
        directives=get_object_definition(node_type, strict=True).directives or (),
    )
    return field


class Paged(FieldExtension):
    """Adds the arguments first, after, last and before to a field, and applies them to its listing."""

    def apply(self, field: StrawberryField) -> None:
        paging = [
            _argument(
                "first", int, f"Number of rows from the start of the range: 1 to {MAX_PAGE}, {DEFAULT_PAGE} by default."
            ),
            _argument("after", str, "Only rows after this cursor."),
            _argument("last", int, f"Number of rows from the end of the range, instead of `first`: 1 to {MAX_PAGE}."),
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
    return derive(_checked_size, "first", first) if last is None else derive(_checked_size, "last", last)


def _checked_size(argument: str, size: int) -> int:
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
        message = f"{argument} is not a cursor of this connection: pass a cursor of `edges` or `pageInfo`, unchanged."
        raise InputError("INVALID_CURSOR", message, [argument]) from None


Order = Annotated[TimeOrder | None, strawberry.argument(description="Newest or oldest first; newest by default.")]


def is_newest_first(order: TimeOrder | None) -> bool:
    return order is not TimeOrder.OLDEST_FIRST
