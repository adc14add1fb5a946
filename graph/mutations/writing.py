"""How a mutation runs: one transaction, which is begun again where others were in the way, and heard of by caches."""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, fields
from operator import getitem
from typing import Annotated, Any, TypeAlias, get_type_hints

import orjson
import strawberry
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from db.changes import announce_end
from db.engine import Connection
from db.errors import Rejected
from db.queries.viewers import Viewer
from db.retries import rerun
from db.row_security import viewer_setting
from db.writes import idempotency, users
from db.writes.validation import Problem, ValidationError, raise_problems, text_problem
from graph.compiler.cost import WEIGHT, Arguments, Weight
from graph.context import Context, Info
from graph.errors import InputError
from graph.fields import Field
from graph.identity.callers import Caller
from graph.identity.permissions import check_scope
from graph.identity.scopes import Scope
from graph.types.user_errors import Payload, UserError

Write: TypeAlias = Callable[["Writing", Any], Awaitable[Payload]]
MAX_KEY = 200


def _sent_items(arguments: Arguments) -> float:
    """What an input lists, such as candles."""
    given = arguments.get("input")
    return sum([len(part) for part in given.values() if isinstance(part, list)]) if isinstance(given, dict) else 0


# A transaction, and a tenth of a point for each item that is sent.
WRITE = Weight(own=10, size=_sent_items, each=0.1, are_sent=True)

IDEMPOTENCY_KEY: Any = strawberry.field(
    default=None,
    description="Chosen by you, 1 to 200 characters: what is sent again with the same key is written once, and answered"
    " alike.",
)


@dataclass(frozen=True)
class Writing:
    """A transaction, and who writes."""

    connection: Connection
    caller: Caller

    @property
    def viewer(self) -> Viewer:
        """Whose private rows may be seen, and so changed."""
        return Viewer(self.caller.user_id, self.caller.sees_all)

    async def owner(self) -> int:
        """Whose new rows are; where nobody has to sign in, those of nobody are of a user made for that."""
        return self.caller.user_id or await users.anonymous_user(self.connection)


def mutation(
    description: str, *, scope: Scope | None = Scope.WRITE, as_viewer: bool = False
) -> Callable[[Callable[[Writing, Any], Awaitable[Payload]]], Any]:
    """A field that writes, in one transaction. scope: what the caller must be allowed.

    as_viewer: what it writes is somebody's own, and PostgreSQL itself lets nobody write another's.
    """

    def decorate(write: Callable[[Writing, Any], Awaitable[Payload]]) -> Any:
        async def run(context: Context, given: Any) -> Payload:
            if scope is not None:
                check_scope(context.caller, scope)
            return await _written(context, write, given, as_viewer=as_viewer)

        return _field(write, run, description)

    return decorate


def signing(description: str) -> Callable[[Callable[[Context, Any], Awaitable[Payload]]], Any]:
    """A field by which people sign in, whoever they are."""
    return lambda sign: _field(sign, sign, description)


def _field(
    named: Callable[..., Awaitable[Payload]], run: Callable[[Context, Any], Awaitable[Payload]], description: str
) -> Any:
    """The field of a mutation that is called, and takes and returns, what the function does."""
    hints = get_type_hints(named)
    payload_type: type[Payload] = hints["return"]

    async def resolve(info: Info, input: Any) -> Any:  # noqa: A002 - as clients call it
        try:
            return await run(info.context, input)
        except ValidationError as refusal:
            return payload_type(user_errors=[_user_error(*problem) for problem in refusal.problems])
        except InputError as error:
            argument = error.extensions.get("argument", [])
            return payload_type(user_errors=[_user_error(error.extensions["code"], argument, str(error))])
        except Rejected as refusal:
            # By PostgreSQL, which does not tell the field.
            return payload_type(user_errors=[_user_error(refusal.code, (), str(refusal))])

    resolve.__name__ = named.__name__
    about = strawberry.argument(description="What it is to do.")
    # As Annotated[…], which type checkers read.
    argument: Any = getitem(Annotated, (hints["given"], about))
    resolve.__annotations__ = {"info": Info, "input": argument, "return": payload_type | None}
    field: Field = strawberry.mutation(resolver=resolve, description=description, metadata={WEIGHT: WRITE})
    return field


async def _written(context: Context, write: Write, given: Any, *, as_viewer: bool) -> Payload:
    """What was written, or was before under the same key. Raises ValidationError, InputError and DatabaseError."""
    caller = context.caller
    viewer = viewer_setting(caller.user_id, sees_all=caller.sees_all) if as_viewer else None

    async def work() -> tuple[Payload, int]:
        async with context.database.transaction(viewer=viewer) as connection:
            payload = await _once(Writing(connection, caller), write, given)
            return payload, await announce_end(connection)

    payload, transaction = await rerun(work)
    # What this server answers from now on has seen it.
    await context.feed.wait_until_seen(transaction)
    return payload


async def _once(writing: Writing, write: Write, given: Any) -> Payload:
    key = getattr(given, "idempotency_key", None)
    if key is None:
        return await write(writing, given)
    raise_problems(text_problem("idempotency_key", key, MAX_KEY))
    connection, actor = writing.connection, writing.caller.user_id
    before = await idempotency.first(connection, actor, key, write.__name__, _digest(given))
    if before is not None:
        payload_type: type[Payload] = get_type_hints(write)["return"]
        return payload_type(**before)
    payload = await write(writing, given)
    await idempotency.keep(connection, actor, key, _remembered(payload))
    return payload


def given_values(given: Any, *names: str, nullable: Collection[str] = ()) -> dict[str, Any]:
    """The values that an input sets, without omitted fields. Raises ValidationError for a null in a required field."""
    values = {name: getattr(given, name) for name in names}
    changes = {name: value for name, value in values.items() if value is not strawberry.UNSET}
    nulls = [name for name, value in changes.items() if value is None and name not in nullable]
    raise_problems(*(Problem("INVALID_NULL", (name,), "This cannot be null: leave it out instead.") for name in nulls))
    return changes


def _digest(given: Any) -> bytes:
    return hashlib.blake2b(repr(given).encode(), digest_size=32).digest()


def _remembered(payload: Payload) -> str:
    """What a payload is made of; the rows that it shows are looked up when it is asked for them."""
    definition = get_object_definition(type(payload), strict=True)
    left_out = {"user_errors", *[field.python_name for field in definition.fields if field.base_resolver is not None]}
    parts = {field.name: getattr(payload, field.name) for field in fields(payload) if field.name not in left_out}
    return orjson.dumps(parts).decode()


def _user_error(code: str, field: Sequence[str], message: str) -> UserError:
    return UserError(field=["input", *(to_camel_case(part) for part in field)], message=message, code=code)
