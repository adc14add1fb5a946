"""Runs mutations: one transaction each, rerun after a conflict, with idempotency keys.

A response is sent once the change feed has seen the transaction, so that the client's next read is not stale.
"""

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
from db.retries import retry_on_conflict
from db.row_security import viewer_setting
from db.writes import idempotency, users
from db.writes.validation import FieldError, ValidationError, raise_field_errors, text_error
from graph.compiler.cost import WEIGHT, Arguments, Weight
from graph.context import Context, Info
from graph.errors import InputError
from graph.fields import Field
from graph.identity.callers import Caller
from graph.identity.permissions import check_scope
from graph.identity.scopes import Scope
from graph.types.user_errors import Payload, UserError

Write: TypeAlias = Callable[["MutationContext", Any], Awaitable[Payload]]
MAX_KEY_LENGTH = 200


def _list_items(arguments: Arguments) -> float:
    """Number of items in the lists of an input, such as candles."""
    input_ = arguments.get("input")
    return sum([len(part) for part in input_.values() if isinstance(part, list)]) if isinstance(input_, dict) else 0


# 10 points for the transaction, and 0.1 for each item of a list in the input.
MUTATION_WEIGHT = Weight(own=10, size=_list_items, per_row=0.1, rows_in_arguments=True)

IDEMPOTENCY_KEY: Any = strawberry.field(
    default=None,
    description="A key of 1 to 200 characters, such as a new UUID for each change. If a request is repeated with the "
    "same key and input, the change is written once and the first result is returned again. With another input, it is "
    "an error (IDEMPOTENCY_KEY_REUSED).",
)


@dataclass(frozen=True)
class MutationContext:
    """The transaction of a mutation, and the caller of the request."""

    connection: Connection
    caller: Caller

    @property
    def viewer(self) -> Viewer:
        """The viewer whose private rows the mutation may read and change."""
        return Viewer(self.caller.user_id, self.caller.sees_all)

    async def owner_id(self) -> int:
        """The user who owns new rows. In open mode, anonymous callers share one user, which is created for them."""
        return self.caller.user_id or await users.anonymous_user(self.connection)


def mutation(
    description: str, *, scope: Scope | None = Scope.WRITE, enforce_rls: bool = False
) -> Callable[[Write], Any]:
    """Decorator: a mutation field that runs the function in one transaction.

    scope: the scope that the caller needs; None: no scope.
    enforce_rls: run the transaction as the viewer, so that row security rejects writes to rows of other users.
    Otherwise it runs as the owner of the tables.
    """

    def decorate(write: Write) -> Any:
        async def run(context: Context, input_: Any) -> Payload:
            if scope is not None:
                check_scope(context.caller, scope)
            return await _run_in_transaction(context, write, input_, enforce_rls=enforce_rls)

        return _mutation_field(write, run, description)

    return decorate


def session_mutation(description: str) -> Callable[[Callable[[Context, Any], Awaitable[Payload]]], Any]:
    """Decorator: a mutation field that starts or refreshes a session. It needs no scope."""
    return lambda function: _mutation_field(function, function, description)


def _mutation_field(
    function: Callable[..., Awaitable[Payload]], run: Callable[[Context, Any], Awaitable[Payload]], description: str
) -> Any:
    """A field that calls run. Its name, input type and payload type are those of the function."""
    hints = get_type_hints(function)
    payload_type: type[Payload] = hints["return"]

    async def resolve(info: Info, input: Any) -> Any:  # noqa: A002 - the name of the argument in the schema
        try:
            return await run(info.context, input)
        except ValidationError as error:
            return payload_type(user_errors=[_user_error(*problem) for problem in error.errors])
        except InputError as error:
            argument = error.extensions.get("argument", [])
            return payload_type(user_errors=[_user_error(error.extensions["code"], argument, str(error))])
        except Rejected as error:
            # Raised by a statement, which does not name the field of the input.
            return payload_type(user_errors=[_user_error(error.code, (), str(error))])

    resolve.__name__ = function.__name__
    input_argument = strawberry.argument(description="The values to write.")
    # Annotated[…] with a type that is known at run time only, which type checkers reject.
    argument: Any = getitem(Annotated, (hints["input_"], input_argument))
    resolve.__annotations__ = {"info": Info, "input": argument, "return": payload_type | None}
    field: Field = strawberry.mutation(resolver=resolve, description=description, metadata={WEIGHT: MUTATION_WEIGHT})
    return field


async def _run_in_transaction(context: Context, write: Write, input_: Any, *, enforce_rls: bool) -> Payload:
    """The payload of the mutation, or the stored one of an earlier request with the same idempotency key.

    Raises ValidationError, InputError and DatabaseError.
    """
    caller = context.caller
    viewer = viewer_setting(caller.user_id, sees_all=caller.sees_all) if enforce_rls else None

    async def work() -> tuple[Payload, int]:
        async with context.database.transaction(viewer=viewer) as connection:
            payload = await _execute_idempotently(MutationContext(connection, caller), write, input_)
            return payload, await announce_end(connection)

    payload, transaction = await retry_on_conflict(work)
    # What this server answers from now on has seen it.
    await context.feed.wait_until_seen(transaction)
    return payload


async def _execute_idempotently(context: MutationContext, write: Write, input_: Any) -> Payload:
    """The payload of the function, or the stored one if the idempotency key of the input was used before."""
    key = getattr(input_, "idempotency_key", None)
    if key is None:
        return await write(context, input_)
    raise_field_errors(text_error("idempotency_key", key, MAX_KEY_LENGTH))
    connection, actor = context.connection, context.caller.user_id
    stored = await idempotency.claim_key(connection, actor, key, write.__name__, _digest(input_))
    if stored is not None:
        payload_type: type[Payload] = get_type_hints(write)["return"]
        return payload_type(**stored)
    payload = await write(context, input_)
    await idempotency.store_answer(connection, actor, key, _serialize(payload))
    return payload


def provided_values(input_: Any, *names: str, nullable: Collection[str] = ()) -> dict[str, Any]:
    """The values that an input sets, without omitted fields. Raises ValidationError for a null in a required field."""
    values = {name: getattr(input_, name) for name in names}
    changes = {name: value for name, value in values.items() if value is not strawberry.UNSET}
    nulls = [name for name, value in changes.items() if value is None and name not in nullable]
    raise_field_errors(
        *(FieldError("INVALID_NULL", (name,), "This cannot be null. Leave it out to keep its value.") for name in nulls)
    )
    return changes


def _digest(input_: Any) -> bytes:
    """Two inputs with the same literals have the same digest: the repr of a relative time is its literal."""
    return hashlib.blake2b(repr(input_).encode(), digest_size=32).digest()


def _serialize(payload: Payload) -> str:
    """The plain values of a payload in JSON. Rows are left out: their resolvers read them by the keys that it holds."""
    definition = get_object_definition(type(payload), strict=True)
    omitted = {"user_errors", *[field.python_name for field in definition.fields if field.base_resolver is not None]}
    values = {field.name: getattr(payload, field.name) for field in fields(payload) if field.name not in omitted}
    return orjson.dumps(values).decode()


def _user_error(code: str, field: Sequence[str], message: str) -> UserError:
    return UserError(field=["input", *(to_camel_case(part) for part in field)], message=message, code=code)
