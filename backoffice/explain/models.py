"""Where reports are kept: plans and what was found in them, without any value."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Identity, Index, Integer, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.database.base import OWN_PREFIX, Base


class ExplainReport(Base):
    """One report: the plans of one page's statements at one moment.

    `content` is `backoffice.explain.report.Report` as plain data; every literal in it
    is masked. `severity` is its worst finding's: 0, 1 or 2.
    """

    __tablename__ = f"{OWN_PREFIX}explain_reports"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"),
        Identity(always=True),
        primary_key=True,
    )
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_label: Mapped[str] = mapped_column(String(200), server_default="")
    view: Mapped[str] = mapped_column(String(100), server_default="")
    title: Mapped[str] = mapped_column(String(200))
    verdict: Mapped[str] = mapped_column(String(500))
    how: Mapped[str] = mapped_column(String(20))
    severity: Mapped[int] = mapped_column(Integer)
    content: Mapped[dict[str, Any]] = mapped_column(
        JSON().with_variant(JSONB(), "postgresql")
    )

    __table_args__ = (Index(None, "at", "id"),)

    def __str__(self) -> str:
        return self.title
