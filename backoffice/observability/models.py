"""What is remembered of statements: the tables of the slow log and of its history.

Parameters are in none of them, nor any error's text: both hold people's values.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from backoffice.database.base import OWN_PREFIX, Base

FINGERPRINT = 16
VIEW = 100
LABEL = 200
PROCESS = 80
ERROR = 40


class StatementText(Base):
    """A statement without its values, and since when it is known.

    `revision` is the migration that was newest when it was seen first.
    """

    __tablename__ = f"{OWN_PREFIX}statements"

    fingerprint: Mapped[str] = mapped_column(String(FINGERPRINT), primary_key=True)
    text: Mapped[str] = mapped_column(Text, info={"label": "Statement"})
    operation: Mapped[str] = mapped_column(String(40))
    table_name: Mapped[str] = mapped_column(String(130), info={"label": "Table"})
    revision: Mapped[str] = mapped_column(String(200), server_default="")
    first_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))

    __table_args__ = (Index(None, "last_seen"),)

    def __str__(self) -> str:
        return self.text[:80]


class SlowStatement(Base):
    """One call that was slow, slower than its own kind, or that failed; milliseconds.

    `more` is how many others of its kind, within the same minute, were not written.
    """

    __tablename__ = f"{OWN_PREFIX}slow_statements"

    # SQLite numbers rows by itself only where the key is a plain INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"),
        Identity(always=True),
        primary_key=True,
    )
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), info={"label": "Time"}
    )
    total_ms: Mapped[float] = mapped_column(Float(53), info={"label": "Duration, ms"})
    wait_ms: Mapped[float] = mapped_column(Float(53), info={"label": "Wait, ms"})
    execute_ms: Mapped[float] = mapped_column(Float(53), info={"label": "Execute, ms"})
    fetch_ms: Mapped[float] = mapped_column(Float(53), info={"label": "Fetch, ms"})
    commit_ms: Mapped[float] = mapped_column(Float(53), info={"label": "Commit, ms"})
    row_count: Mapped[int | None] = mapped_column(BigInteger, info={"label": "Rows"})
    reason: Mapped[str] = mapped_column(String(40))
    baseline_ms: Mapped[float | None] = mapped_column(
        Float(53), info={"label": "Usually, ms"}
    )
    error: Mapped[str] = mapped_column(String(ERROR), server_default="")
    view: Mapped[str] = mapped_column(String(VIEW), server_default="")
    action: Mapped[str] = mapped_column(String(VIEW), server_default="")
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_label: Mapped[str] = mapped_column(
        String(LABEL), server_default="", info={"label": "User"}
    )
    request_id: Mapped[str] = mapped_column(
        String(64), server_default="", info={"label": "Request"}
    )
    process: Mapped[str] = mapped_column(String(PROCESS), server_default="")
    more: Mapped[int] = mapped_column(Integer, server_default="0")
    fingerprint: Mapped[str] = mapped_column(
        String(FINGERPRINT), ForeignKey(StatementText.fingerprint)
    )
    statement: Mapped[StatementText] = relationship(lazy="raise")

    __table_args__ = (
        # Newest first, and slowest first, among a million.
        Index(None, "at", "id"),
        Index(None, "total_ms", "id"),
        # One statement's, one view's, one request's.
        Index(None, "fingerprint", "at"),
        Index(None, "view", "at"),
        # One error's and one user's; what there is to choose from is read off them.
        Index(None, "error", "at"),
        Index(None, "actor_label", "at"),
        Index(None, "request_id"),
    )


class StatementHour(Base):
    """What one process saw of one statement by one view in one hour.

    `source` is the process: each writes rows of its own, readers add them up.
    """

    __tablename__ = f"{OWN_PREFIX}statement_hours"

    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(
        String(FINGERPRINT), ForeignKey(StatementText.fingerprint), primary_key=True
    )
    view: Mapped[str] = mapped_column(String(VIEW), primary_key=True)
    source: Mapped[str] = mapped_column(String(PROCESS), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    timeouts: Mapped[int] = mapped_column(BigInteger)
    row_count: Mapped[int] = mapped_column(BigInteger)
    wait_ns: Mapped[int] = mapped_column(BigInteger)
    execute_ns: Mapped[int] = mapped_column(BigInteger)
    fetch_ns: Mapped[int] = mapped_column(BigInteger)
    commit_ns: Mapped[int] = mapped_column(BigInteger)
    histogram: Mapped[dict[str, Any]] = mapped_column(
        JSON().with_variant(JSONB(), "postgresql")
    )

    __table_args__ = (
        # One statement's page: its hours, without reading everybody's.
        Index(None, "fingerprint", "at"),
    )


class TableSize(Base):
    """What a table occupied, once an hour: bytes, and the planner's number of rows.

    `name` is schema and name; empty for the whole database.
    """

    __tablename__ = f"{OWN_PREFIX}table_sizes"

    # In this order: the tables of one moment are read together, and the oldest moment
    # is looked for and pruned by its time.
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    name: Mapped[str] = mapped_column(String(130), primary_key=True)
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    data_size: Mapped[int] = mapped_column(BigInteger)
    index_size: Mapped[int] = mapped_column(BigInteger)
