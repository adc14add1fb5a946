from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created, Key

SCOPES = ("READ", "WRITE", "ADMIN")
_SCOPES = ", ".join(repr(scope) for scope in SCOPES)


class ApiKey(Base):
    """A key by which a program signs in as a user. The key itself is stored nowhere."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("prefix"),
        UniqueConstraint("key_hash"),
        Index(None, "user_id", "id"),
        CheckConstraint("octet_length(key_hash) = 32", "key_hash"),
        CheckConstraint(f"cardinality(scopes) > 0 AND scopes <@ ARRAY[{_SCOPES}]", "scopes"),
    )

    id: Mapped[Key] = mapped_column("key_id", key="id")
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    # What is shown of a key, and what it is found by.
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # To the minute. It changes unannounced.
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[Created]
