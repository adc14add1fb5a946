from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created


class Session(Base):
    """What a login begins. Its refresh token changes with each use; one that was used before ends it."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id"),)

    # At random: whoever knows it has held a token of the session.
    id: Mapped[UUID] = mapped_column("session_id", primary_key=True, key="id")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes]
    created_at: Mapped[Created]
    refreshed_at: Mapped[Created]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
