from typing import Any

from sqlalchemy import BigInteger, Index, PrimaryKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created


class IdempotencyKey(Base):
    """A write that its client may send again: what it was, and what was answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (PrimaryKeyConstraint("actor", "key"), Index(None, "created_at"))

    # A user's id; 0 for nobody, where nobody has to sign in.
    actor: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[str] = mapped_column(String(200))
    operation: Mapped[str] = mapped_column(String(100))
    input_hash: Mapped[bytes]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[Created]
