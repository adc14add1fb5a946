"""API keys, by which programs sign in."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key

SCOPES = ("READ", "WRITE", "ADMIN")
_SCOPES = ", ".join(repr(scope) for scope in SCOPES)


class ApiKey(Base):
    """A key by which a program signs in as a user. Only a hash of the key is stored."""

    __tablename__ = "api_keys"
    access = Access(
        announced=Announced.BY_TABLE,
        owned_by="user_id",
        # Not the hash of the key.
        viewer_columns=(
            *("key_id", "user_id", "name", "prefix", "scopes"),
            *("expires_at", "revoked_at", "last_used_at", "created_at"),
        ),
        # A key in use writes it once a minute; cached answers stay valid.
        unannounced_columns=("last_used_at",),
    )
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
    # The first characters of the key: shown to its owner, and used to look the key up.
    prefix: Mapped[str] = mapped_column(String(16))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # To the minute. Its changes are not announced.
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[Created]
