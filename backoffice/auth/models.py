"""Which tables hold accounts: people, their open sessions, and failed logins."""

import uuid
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    func,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backoffice.auth.last_admin import postgresql_triggers, sqlite_triggers
from backoffice.database.base import Base, Timestamps
from backoffice.database.triggers import declare

EMAIL_LENGTH = 254  # the longest address that mail can be sent to
DIGEST_LENGTH = 64  # SHA-256 in hexadecimal


class User(Timestamps, Base):
    """A person with an account.

    `backoffice.auth.users` writes this table; a deleted account keeps its row, so that
    the history stays readable, and gives its e-mail address free.
    """

    __tablename__ = "backoffice_users"
    __table_args__ = (
        CheckConstraint(
            "role IN ('admin', 'ops', 'editor', 'viewer')",
            name="role",
            info={
                "fields": ["role"],
                "message": "The role is one of admin, ops, editor and viewer.",
            },
        ),
        CheckConstraint(
            "email LIKE '%_@_%'",
            name="email",
            info={
                "fields": ["email"],
                "message": "An e-mail address looks like name@example.org.",
            },
        ),
        CheckConstraint(
            "name <> ''",
            name="name",
            info={"fields": ["name"], "message": "A person has a name."},
        ),
        # Login looks an account up by this; it also holds addresses apart.
        Index(
            "uq_backoffice_users_email",
            text("lower(email)"),
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
            info={
                "fields": ["email"],
                "message": "Another account has this e-mail address.",
            },
        ),
        # The list of accounts: those not deleted, by name.
        Index(
            "ix_backoffice_users_name_id",
            "name",
            "id",
            postgresql_where=text("deleted_at IS NULL"),
            sqlite_where=text("deleted_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(
        String(EMAIL_LENGTH), info={"label": "E-mail", "hint": "Used to log in."}
    )
    password_hash: Mapped[str] = mapped_column(String(255), info={"secret": True})
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(
        String(10),
        info={
            "hint": "viewer reads, editor also writes, ops also sees the metrics, "
            "admin does all."
        },
    )
    is_active: Mapped[bool] = mapped_column(
        default=True,
        server_default=true(),
        info={"label": "Active", "hint": "Who is not active cannot log in."},
    )
    deleted_at: Mapped[datetime | None] = mapped_column(
        info={"label": "Deleted", "read_only": "Set by deleting the account."}
    )
    last_login_at: Mapped[datetime | None] = mapped_column(
        info={"label": "Last login", "read_only": "Set at each login."}
    )

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


declare(User.__table__, *postgresql_triggers(), *sqlite_triggers())


class LoginSession(Base):
    """A browser that is logged in; without its row the cookie is worth nothing."""

    __tablename__ = "backoffice_sessions"
    __table_args__ = (
        # All sessions of a person, newest first: shown to them, and ended together.
        Index("ix_backoffice_sessions_user_id", "user_id", "created_at"),
        # What has expired is deleted in passing.
        Index("ix_backoffice_sessions_expires_at", "expires_at"),
    )

    id: Mapped[str] = mapped_column(
        String(DIGEST_LENGTH),
        primary_key=True,
        info={"hint": "SHA-256 of the random id in the cookie.", "bearer": True},
    )
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("backoffice_users.id", ondelete="CASCADE")
    )
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    last_seen_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    expires_at: Mapped[datetime]
    user_agent: Mapped[str] = mapped_column(String(200), server_default="")
    ip: Mapped[str] = mapped_column(String(45), server_default="")

    user: Mapped[User] = relationship(lazy="raise_on_sql", viewonly=True)


class LoginAttempt(Base):
    """How often logging in has failed lately, by address and network, or by network.

    The row with the empty e-mail counts all failures from its network.
    """

    __tablename__ = "backoffice_login_attempts"
    __table_args__ = (
        CheckConstraint("failures >= 0", name="failures"),
        # What is over is deleted in passing.
        Index("ix_backoffice_login_attempts_last_at", "last_at"),
        {"info": {"audit": False}},
    )

    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), primary_key=True)
    network: Mapped[str] = mapped_column(String(45), primary_key=True)
    failures: Mapped[int] = mapped_column(server_default="0")
    last_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    blocked_until: Mapped[datetime | None]
