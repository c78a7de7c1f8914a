"""Where it is written who changed what: the table `backoffice_audit`."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Identity,
    Index,
    Integer,
    String,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.database.base import OWN_PREFIX, Base

LABEL_LENGTH = 200


class AuditEntry(Base):
    """One change of one record, or one event such as a login.

    There is no foreign key: a user or a record that is deleted leaves its entries.
    """

    __tablename__ = f"{OWN_PREFIX}audit"

    # SQLite numbers rows by itself only where the key is a plain INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"),
        Identity(always=True),
        primary_key=True,
    )
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_label: Mapped[str] = mapped_column(String(LABEL_LENGTH))
    action: Mapped[str] = mapped_column(String(40))
    view: Mapped[str] = mapped_column(String(100), server_default="")
    table_name: Mapped[str] = mapped_column(String(130), server_default="")
    key: Mapped[str] = mapped_column(String, server_default="")
    label: Mapped[str] = mapped_column(String(LABEL_LENGTH), server_default="")
    # {"marks": [61, 64]}: what the field was and what it became.
    changes: Mapped[dict[str, list[Any]]] = mapped_column(
        JSON().with_variant(JSONB(), "postgresql"), server_default="{}"
    )
    request_id: Mapped[str] = mapped_column(String(64), server_default="")
    # The run of an action that wrote it, where it was one.
    run_id: Mapped[int | None] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite")
    )

    __table_args__ = (
        # The history of one record, newest first.
        Index(None, "table_name", "key", "id"),
        # The history of everything, by time; a run stands in it as one event, from its
        # own table. Of what runs write, a million rows at a time, these hold nothing;
        # to any other entry they add 10 to 20 µs.
        *(
            Index(
                f"ix_backoffice_audit_{'_'.join([*narrowed, 'at'])}_single",
                *narrowed,
                "at",
                "id",
                postgresql_where=text("run_id IS NULL"),
                sqlite_where=text("run_id IS NULL"),
            )
            # All of it; what one person did, by the account and by the name of then;
            # what was done with one table, and in one way.
            for narrowed in (
                [],
                ["actor_id"],
                ["actor_label"],
                ["table_name"],
                ["action"],
            )
        ),
        # What one run has changed: its record, and what an undo gives back.
        Index(
            "ix_backoffice_audit_run_id",
            "run_id",
            "id",
            postgresql_where=text("run_id IS NOT NULL"),
            sqlite_where=text("run_id IS NOT NULL"),
        ),
    )
