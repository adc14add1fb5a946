"""Sessions of signed-in users."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created


class Session(Base):
    """Begins with a login and is continued with refresh tokens, each of which is valid once."""

    __tablename__ = "sessions"
    access = Access(announced=Announced.BY_TABLE, owned_by="user_id", viewer_columns=())
    __table_args__ = (
        Index(None, "user_id"),
        CheckConstraint("octet_length(token_hash) = 32", "token_hash"),
    )

    # Random, because it is part of a refresh token, which must not be guessable.
    id: Mapped[UUID] = mapped_column("session_id", key="id", primary_key=True, server_default=func.gen_random_uuid())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Hash of the refresh token that is valid now.
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[Created]
    refreshed_at: Mapped[Created]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
