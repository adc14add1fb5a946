"""Answers to writes that a client may send twice, by a key that it chose: kept in the transaction that writes."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.writes.validation import invalid

# Of whoever did not sign in, where that is allowed.
NO_ACTOR = 0


async def first(
    connection: AsyncConnection, actor: int | None, key: str, operation: str, input_hash: bytes
) -> dict[str, Any] | None:
    """What was answered to the same input before; None for the first time, and then the key is taken.

    A transaction that holds the same key is waited for. Raises ValidationError where the key stands for another input.
    """
    named = {"actor": actor or NO_ACTOR, "key": key}
    taken = await connection.execute(_TAKE, {**named, "operation": operation, "input_hash": input_hash})
    if taken.rowcount:
        return None
    before = (await connection.execute(_FIND, named)).one()
    if (before.operation, before.input_hash) != (operation, input_hash):
        message = "This key was used for something else: take a new one for each thing that you do."
        raise invalid("IDEMPOTENCY_KEY_REUSED", "idempotency_key", message)
    answer: dict[str, Any] = before.answer
    return answer


async def keep(connection: AsyncConnection, actor: int | None, key: str, answer: str) -> None:
    """answer: an object in JSON."""
    await connection.execute(_KEEP, {"actor": actor or NO_ACTOR, "key": key, "answer": answer})


_TAKE = text("""
INSERT INTO idempotency_keys (actor, key, operation, input_hash) VALUES (:actor, :key, :operation, :input_hash)
ON CONFLICT DO NOTHING
""")
_FIND = text("SELECT operation, input_hash, answer FROM idempotency_keys WHERE actor = :actor AND key = :key")
_KEEP = text("UPDATE idempotency_keys SET answer = CAST(:answer AS jsonb) WHERE actor = :actor AND key = :key")
