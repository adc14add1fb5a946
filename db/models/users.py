"""User accounts."""

from sqlalchemy import Index, String, false, func, true
from sqlalchemy.orm import Mapped, mapped_column

from db.models.access import Access, Announced
from db.models.base import Base, Created, Key


class User(Base):
    __tablename__ = "users"
    access = Access(
        announced=Announced.BY_TABLE,
        owned_by="user_id",
        # Not the hash of the password.
        viewer_columns=("user_id", "username", "email", "is_active", "is_admin", "created_at"),
    )

    id: Mapped[Key] = mapped_column("user_id", key="id")
    username: Mapped[str] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(100))
    password_hash: Mapped[str]
    is_active: Mapped[bool] = mapped_column(server_default=true())
    is_admin: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[Created]
    updated_at: Mapped[Created] = mapped_column(onupdate=func.now())


Index("uq_users_username", func.lower(User.username), unique=True)
Index("uq_users_email", func.lower(User.email), unique=True)
