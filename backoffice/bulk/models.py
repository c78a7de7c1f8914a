"""What is kept of selections and of runs: who chose what, and what came of it."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.bulk.belonging import (
    ROWS_HAVE_A_RUN,
    ROWS_HAVE_A_RUN_SQLITE,
    RUNS_TAKE_THEIR_ROWS,
    RUNS_TAKE_THEIR_ROWS_SQLITE,
)
from backoffice.database.base import OWN_PREFIX, Base
from backoffice.database.triggers import declare

LABEL_LENGTH = 200
BIG = BigInteger().with_variant(Integer, "sqlite")
DOCUMENT = JSON().with_variant(JSONB(), "postgresql")


# What a table of plain bookkeeping says, so that no run records itself in the audit.
NOT_AUDITED: dict[str, Any] = {"audit": False}


class Selection(Base):
    """Rows that one person has chosen for one action, for an hour.

    Either `keys`, which were ticked, or `items`, the list's own query, which is put
    again whenever the rows are needed. The address holds nothing but the token.
    """

    __tablename__ = f"{OWN_PREFIX}selections"

    token: Mapped[str] = mapped_column(
        String(64), primary_key=True, info={"bearer": True}
    )
    actor_id: Mapped[str] = mapped_column(String(64))
    view: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    # Where the rows come from in words: "all products with category Books".
    words: Mapped[str] = mapped_column(Text, server_default="")
    keys: Mapped[list[str] | None] = mapped_column(DOCUMENT)
    items: Mapped[list[list[str]] | None] = mapped_column(DOCUMENT)
    # The run whose rows they are, where they are to be taken back.
    undone_run_id: Mapped[int | None] = mapped_column(BIG)
    # What the form of the action was told, as texts; none where it was not asked yet.
    parameters: Mapped[dict[str, str] | None] = mapped_column(DOCUMENT)
    # Keys that were taken out after they were shown.
    excluded: Mapped[list[str]] = mapped_column(DOCUMENT, server_default="[]")
    # What was shown last: how many rows, a hash of them, and, of few, each version.
    shown: Mapped[dict[str, Any] | None] = mapped_column(DOCUMENT)
    run_id: Mapped[int | None] = mapped_column(BIG)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        # What has expired is deleted, now and then.
        Index(None, "expires_at"),
        {"info": {**NOT_AUDITED}},
    )


class Run(Base):
    """One execution of an action: who, on which rows, with what, and its outcome."""

    __tablename__ = f"{OWN_PREFIX}runs"

    id: Mapped[int] = mapped_column(BIG, Identity(always=True), primary_key=True)
    # The selection it was started from: the same one starts one run, however often.
    token: Mapped[str] = mapped_column(String(64), unique=True, info={"bearer": True})
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_label: Mapped[str] = mapped_column(String(LABEL_LENGTH))
    view: Mapped[str] = mapped_column(String(100))
    table_name: Mapped[str] = mapped_column(String(130))
    action: Mapped[str] = mapped_column(String(100))
    label: Mapped[str] = mapped_column(String(LABEL_LENGTH))
    words: Mapped[str] = mapped_column(Text, server_default="")
    parameters: Mapped[dict[str, str]] = mapped_column(DOCUMENT, server_default="{}")
    # Attributes that it sets; what an undo gives back.
    attributes: Mapped[list[str]] = mapped_column(DOCUMENT, server_default="[]")
    statement: Mapped[str] = mapped_column(Text, server_default="")
    state: Mapped[str] = mapped_column(String(20))
    # What somebody has asked of a run on its way: pause, cancel.
    wish: Mapped[str] = mapped_column(String(20), server_default="")
    reason: Mapped[str] = mapped_column(Text, server_default="")
    undone_run_id: Mapped[int | None] = mapped_column(
        BIG, ForeignKey(f"{OWN_PREFIX}runs.id", ondelete="SET NULL")
    )
    total: Mapped[int] = mapped_column(BigInteger, server_default="0")
    met: Mapped[int] = mapped_column(BigInteger, server_default="0")
    changed: Mapped[int] = mapped_column(BigInteger, server_default="0")
    same: Mapped[int] = mapped_column(BigInteger, server_default="0")
    left: Mapped[int] = mapped_column(BigInteger, server_default="0")
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    batches: Mapped[int] = mapped_column(Integer, server_default="0")
    batch_size: Mapped[int] = mapped_column(Integer, server_default="0")
    busy_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")
    request_id: Mapped[str] = mapped_column(String(64), server_default="")
    worker: Mapped[str] = mapped_column(String(100), server_default="")
    seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Workers that were lost with it: who, when heard of last, and when it was taken up.
    lost: Mapped[list[dict[str, str]]] = mapped_column(DOCUMENT, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # When the rows that only served walking were deleted.
    cleared_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'running', 'paused', 'done', 'cancelled', 'failed')",
            name="state",
        ),
        # What waits for a worker, oldest first.
        Index(
            "ix_backoffice_runs_unfinished",
            "id",
            postgresql_where=text("finished_at IS NULL"),
            sqlite_where=text("finished_at IS NULL"),
        ),
        # Whether a run was taken back, and by which.
        Index(
            "ix_backoffice_runs_undone_run_id",
            "undone_run_id",
            postgresql_where=text("undone_run_id IS NOT NULL"),
            sqlite_where=text("undone_run_id IS NOT NULL"),
        ),
        # Runs whose rows are still to be cleared, the oldest first.
        Index(
            "ix_backoffice_runs_uncleared",
            "finished_at",
            postgresql_where=text("cleared_at IS NULL AND finished_at IS NOT NULL"),
            sqlite_where=text("cleared_at IS NULL AND finished_at IS NOT NULL"),
        ),
        # Runs among everything else that has happened, newest first.
        Index(None, "created_at", "id"),
        # One person's runs, newest first; also by the name that they had then.
        Index(None, "actor_id", "id"),
        Index(None, "actor_label", "id"),
        {"info": {**NOT_AUDITED}},
    )


class RunRow(Base):
    """One row of a run: its key and version as they were when the run was confirmed.

    The run walks these in their order and no others. A row that was not changed says
    why; of the others the audit tells.
    """

    __tablename__ = f"{OWN_PREFIX}run_rows"

    # That there is such a run is a trigger's word: see `belonging.py`.
    run_id: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BIG, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text, server_default="")
    state: Mapped[str] = mapped_column(String(20), server_default="")
    reason: Mapped[str] = mapped_column(Text, server_default="")
    label: Mapped[str] = mapped_column(String(LABEL_LENGTH), server_default="")

    __table_args__ = (
        # The rows that were not changed, among a million that were.
        Index(
            "ix_backoffice_run_rows_left",
            "run_id",
            "position",
            postgresql_where=text("state <> ''"),
            sqlite_where=text("state <> ''"),
        ),
        {"info": {**NOT_AUDITED}},
    )


declare(RunRow.__table__, ROWS_HAVE_A_RUN, ROWS_HAVE_A_RUN_SQLITE)
declare(Run.__table__, RUNS_TAKE_THEIR_ROWS, RUNS_TAKE_THEIR_ROWS_SQLITE)
