from sqlalchemy import Index, String, false, func, true
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Created, Key


class User(Base):
    __tablename__ = "users"

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
