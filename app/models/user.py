"""Users and their passwords."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from .base import Base, json, string
from .persona import UserPersona
from .section import Enrolment

ADMIN = "Admin"
# No hash ends up as this, so no password opens the account.
LOCKED = "!"


class User(Base):
    """Somebody who can log in, unless the account is locked.

    A user who wrote something cannot be deleted; posts, microblogs, classrooms and skill snapshots would
    lose their author.
    """

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(string(255))
    uid: Mapped[str] = mapped_column(string(255), unique=True)
    email: Mapped[str] = mapped_column(string(255))
    sid: Mapped[str | None] = mapped_column(string(255), unique=True)
    # A student id that another user has, too: it came so from a database that did not mind.
    former_sid: Mapped[str | None] = mapped_column(string(255))
    password: Mapped[str] = mapped_column(string(255))
    role: Mapped[str] = mapped_column(string(20), default="User")
    pfp: Mapped[str | None] = mapped_column(string(255))
    kasm_server_needed: Mapped[bool | None] = mapped_column(default=False)
    grade_data: Mapped[Any] = mapped_column(json(), nullable=True)
    ap_exam: Mapped[Any] = mapped_column(json(), nullable=True)
    classes: Mapped[Any] = mapped_column(json(), nullable=True)
    school: Mapped[str | None] = mapped_column(string(255))
    game_profile: Mapped[Any] = mapped_column(json(), nullable=True)

    enrolments: Mapped[list[Enrolment]] = relationship(
        order_by=Enrolment.section_id, cascade="all, delete-orphan", passive_deletes=True
    )
    personas: Mapped[list[UserPersona]] = relationship(
        back_populates="user", order_by=UserPersona.persona_id, cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def is_admin(self) -> bool:
        """Whether the role is the administrators'."""
        return self.role == ADMIN

    @property
    def is_locked(self) -> bool:
        """Whether what is stored is no hash, so that no password opens the account."""
        return self.password.count("$") < 2

    def set_password(self, password: str) -> None:
        """Store a salted hash of ``password``."""
        self.password = generate_password_hash(password)

    def has_password(self, password: str) -> bool:
        """Whether ``password`` opens this account; never for a locked one, or one with a damaged hash."""
        try:
            return check_password_hash(self.password, password)
        except ValueError:
            return False

    def lock(self) -> None:
        """Let no password open this account until :meth:`set_password`."""
        self.password = LOCKED
