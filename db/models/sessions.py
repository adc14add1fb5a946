from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created


class Session(Base):
    """What begins with a login, and lives by refresh tokens of which each is good once."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index(None, "user_id"),
        CheckConstraint("octet_length(token_hash) = 32", "token_hash"),
    )

    # Random: it is part of a refresh token, and nobody may guess it.
    id: Mapped[UUID] = mapped_column("session_id", key="id", primary_key=True, server_default=func.gen_random_uuid())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Of the refresh token that is good now.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Created]
    refreshed_at: Mapped[Created]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
