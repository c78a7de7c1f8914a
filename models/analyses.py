"""Analyses of texts: batches of them, and what was found in each text."""

import hashlib
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import (
    Mapped,
    WriteOnlyMapped,
    mapped_column,
    relationship,
    validates,
)
from sqlalchemy.types import Numeric

from backoffice.database.base import Base, Timestamps
from backoffice.database.choices import choice_column, one_of
from backoffice.database.triggers import Trigger, declare


class AnalysisType(StrEnum):
    """What is asked of a text."""

    SENTIMENT = "sentiment"
    EMOTION = "emotion"
    QUALITY = "quality"
    FULL = "full"


class OptimizationTier(StrEnum):
    """What matters more, the price or the result."""

    ECONOMY = "economy"
    BALANCED = "balanced"
    PRECISE = "precise"


class AnalysisStatus(StrEnum):
    """How far an analysis is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class BatchAnalysis(Timestamps, Base):
    """A number of texts that are analysed together."""

    __tablename__ = "batch_analyses"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = choice_column(AnalysisStatus, default=AnalysisStatus.PENDING)
    size: Mapped[int] = mapped_column(info={"hint": "How many texts it has in all."})
    processed: Mapped[int] = mapped_column(default=0, server_default="0")
    failed: Mapped[int] = mapped_column(default=0, server_default="0")
    finished_at: Mapped[datetime | None] = mapped_column(info={"label": "Finished"})

    texts: WriteOnlyMapped["TextAnalysis"] = relationship(
        back_populates="batch", passive_deletes="all"
    )

    __table_args__ = (
        CheckConstraint(
            "name <> ''",
            name="name_given",
            info={"fields": ["name"], "message": "Give the batch a name."},
        ),
        CheckConstraint(
            "size >= 0",
            name="size_not_negative",
            info={"fields": ["size"], "message": "A size is 0 or more."},
        ),
        CheckConstraint(
            "processed >= 0",
            name="processed_not_negative",
            info={"fields": ["processed"], "message": "A counter is 0 or more."},
        ),
        CheckConstraint(
            "failed >= 0",
            name="failed_not_negative",
            info={"fields": ["failed"], "message": "A counter is 0 or more."},
        ),
        # Subtracted, as the sum of two large counters may be no integer any more. Its
        # name comes last: PostgreSQL tries checks by name, and this one says the least.
        CheckConstraint(
            "processed <= size - failed",
            name="within_size",
            info={
                "fields": ["processed", "failed"],
                "message": "Processed and failed together are more than the size.",
            },
        ),
        one_of("status", AnalysisStatus),
        # The batches of one status, newest first.
        Index("ix_batch_analyses_status_created_at", "status", "created_at"),
    )

    def __str__(self) -> str:
        return self.name


def hash_of(content: str) -> str:
    """The SHA-256 of a text, as the database computes it."""
    return hashlib.sha256(content.encode()).hexdigest()


def _hash_of_row(context: DefaultExecutionContext) -> str:
    """The hash of a row that is inserted past the ORM."""
    row: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call]
    return hash_of(row["text"] or "")  # a missing text is refused by its column


SCORES = 'Each emotion has a score from 0 to 1, as in {"joy": 0.8}.'


def scores_on_sqlite() -> list[Trigger]:
    """The scores' rule where a check constraint cannot look into a document."""
    condition = (
        "CASE WHEN NOT json_valid(NEW.emotions) THEN 1\n"
        "  WHEN json_type(NEW.emotions) <> 'object' THEN 1\n"
        "  ELSE EXISTS (SELECT 1 FROM json_each(NEW.emotions)\n"
        "    WHERE type NOT IN ('integer', 'real') OR value < 0 OR value > 1) END"
    )
    return [
        Trigger(
            name=f"text_analyses_scores_{name}",
            dialect="sqlite",
            create=(
                (
                    f"CREATE TRIGGER IF NOT EXISTS text_analyses_scores_{name} BEFORE "
                    f"{event} ON text_analyses\nFOR EACH ROW "
                    f"WHEN NEW.emotions IS NOT NULL AND {condition}\nBEGIN\n"
                    "  SELECT RAISE(ABORT, "
                    f"'backoffice:field=emotions: {SCORES}');\nEND"
                ),
            ),
            drop=(f"DROP TRIGGER IF EXISTS text_analyses_scores_{name}",),
        )
        for name, event in (("insert", "INSERT"), ("update", "UPDATE OF emotions"))
    ]


class TextAnalysis(Timestamps, Base):
    """One text, and what was found in it; it stays when its batch goes."""

    __tablename__ = "text_analyses"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int | None] = mapped_column(
        ForeignKey("batch_analyses.id", ondelete="SET NULL")
    )
    text: Mapped[str] = mapped_column(Text)
    # On PostgreSQL a trigger computes it as well, whoever writes.
    hash: Mapped[str] = mapped_column(
        String(64),
        default=_hash_of_row,
        info={
            "label": "SHA-256",
            "read_only": "Computed from the text.",
            "secret": False,  # of a text that everybody here may read
        },
    )
    type: Mapped[str] = choice_column(AnalysisType, default=AnalysisType.SENTIMENT)
    tier: Mapped[str] = choice_column(
        OptimizationTier, default=OptimizationTier.BALANCED, label="Optimization tier"
    )
    status: Mapped[str] = choice_column(AnalysisStatus, default=AnalysisStatus.PENDING)
    sentiment: Mapped[Decimal | None] = mapped_column(
        Numeric(4, 3), info={"hint": "From -1, bad, to 1, good."}
    )
    quality: Mapped[Decimal | None] = mapped_column(
        Numeric(4, 3), info={"hint": "From 0 to 1."}
    )
    emotions: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        info={"hint": 'A score of 0 to 1 each, as {"joy": 0.8}.'},
    )
    milliseconds: Mapped[int | None] = mapped_column(
        info={"hint": "How long the analysis took."}
    )
    model: Mapped[str | None] = mapped_column(String(100))

    batch: Mapped[BatchAnalysis | None] = relationship(back_populates="texts")

    __table_args__ = (
        UniqueConstraint(
            "hash",
            info={"fields": ["text"], "message": "This text is here already."},
        ),
        CheckConstraint(
            "length(text) BETWEEN 1 AND 10000",
            name="text_length",
            info={"fields": ["text"], "message": "A text has 1 to 10,000 characters."},
        ),
        CheckConstraint(
            "sentiment BETWEEN -1 AND 1",
            name="sentiment_range",
            info={"fields": ["sentiment"], "message": "A sentiment is from -1 to 1."},
        ),
        CheckConstraint(
            "quality BETWEEN 0 AND 1",
            name="quality_range",
            info={"fields": ["quality"], "message": "A quality is from 0 to 1."},
        ),
        CheckConstraint(
            "milliseconds >= 0",
            name="milliseconds_not_negative",
            info={"fields": ["milliseconds"], "message": "A time is 0 or more."},
        ),
        CheckConstraint(
            "jsonb_typeof(emotions) = 'object' AND NOT jsonb_path_exists(emotions, "
            "'strict $.* ? (@.type() <> \"number\" || @ < 0 || @ > 1)', '{}', true)",
            name="emotions_are_scores",
            info={"fields": ["emotions"], "message": SCORES},
        ).ddl_if(dialect="postgresql"),
        one_of("type", AnalysisType),
        one_of("tier", OptimizationTier),
        one_of("status", AnalysisStatus),
        # Whether a text was analysed in this way already.
        Index("ix_text_analyses_hash_type", "hash", "type"),
        # The analyses of one status, newest first: what waits, what failed.
        Index("ix_text_analyses_status_created_at", "status", "created_at"),
        # The worst and the best, and ranges of sentiment.
        Index("ix_text_analyses_sentiment", "sentiment"),
        # The texts of one batch, and their release when the batch goes.
        Index("ix_text_analyses_batch_id_id", "batch_id", "id"),
    )

    @validates("text")
    def _hash_text(self, _key: str, content: str) -> str:
        self.hash = hash_of(content or "")
        return content

    def __str__(self) -> str:
        return self.text if len(self.text) <= 60 else f"{self.text[:59]}…"  # noqa: PLR2004


# No generated column: convert_to() depends on the database's encoding, so PostgreSQL
# does not take it for immutable.
declare(
    TextAnalysis.__table__,
    Trigger(
        name="text_analyses_hash",
        dialect="postgresql",
        create=(
            """\
CREATE OR REPLACE FUNCTION text_analyses_hash() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.hash := encode(sha256(convert_to(NEW.text, 'UTF8')), 'hex');
  RETURN NEW;
END $$""",
            """\
CREATE OR REPLACE TRIGGER text_analyses_hash BEFORE INSERT OR UPDATE OF text, hash
ON text_analyses FOR EACH ROW EXECUTE FUNCTION text_analyses_hash()""",
        ),
        drop=("DROP FUNCTION IF EXISTS text_analyses_hash() CASCADE",),
    ),
    *scores_on_sqlite(),
)
