"""Idempotency keys: results of writes that a client may repeat."""

from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created


class IdempotencyKey(Base):
    """The result of a write that a client may repeat. Only that write reads it, so it is not announced."""

    __tablename__ = "idempotency_keys"
    access = Access(announced=Announced.NEVER, owned_by="actor")
    __table_args__ = (PrimaryKeyConstraint("actor", "key"), Index(None, "created_at"))

    # A user's id, or 0 for an anonymous caller: no foreign key.
    actor: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(String(200))
    operation: Mapped[str] = mapped_column(String(100))
    input_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[Created]
