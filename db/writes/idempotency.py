"""Idempotency keys: the answer to a write is stored in the same transaction, under a key that the client chose."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.writes.validation import validation_error

# Stands for anonymous callers, where those are allowed.
NO_ACTOR = 0


async def claim_key(
    connection: AsyncConnection, actor: int | None, key: str, operation: str, input_hash: bytes
) -> dict[str, Any] | None:
    """The stored answer to the same input; None for a new key, which is then claimed.

    Waits for a concurrent transaction with the same key. Raises ValidationError if the key was used with another input.
    """
    key_columns = {"actor": actor or NO_ACTOR, "key": key}
    claimed = await connection.execute(_CLAIM, {**key_columns, "operation": operation, "input_hash": input_hash})
    if claimed.rowcount:
        return None
    stored = (await connection.execute(_FIND, key_columns)).one()
    if (stored.operation, stored.input_hash) != (operation, input_hash):
        message = "This key was used for a different request: use a new key for each request."
        raise validation_error("IDEMPOTENCY_KEY_REUSED", "idempotency_key", message)
    answer: dict[str, Any] = stored.answer
    return answer


async def store_answer(connection: AsyncConnection, actor: int | None, key: str, answer: str) -> None:
    """Store the answer, a JSON object, under a claimed key."""
    await connection.execute(_STORE, {"actor": actor or NO_ACTOR, "key": key, "answer": answer})


_CLAIM = text("""
INSERT INTO idempotency_keys (actor, key, operation, input_hash) VALUES (:actor, :key, :operation, :input_hash)
ON CONFLICT DO NOTHING
""")
_FIND = text("SELECT operation, input_hash, answer FROM idempotency_keys WHERE actor = :actor AND key = :key")
_STORE = text("UPDATE idempotency_keys SET answer = CAST(:answer AS jsonb) WHERE actor = :actor AND key = :key")
