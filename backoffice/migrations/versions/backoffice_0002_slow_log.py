"""The slow log, the hours of every statement, and the statements' texts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "backoffice_0002_slow_log"
down_revision = "backoffice_0001_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backoffice_statements",
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=130), nullable=False),
        sa.Column("revision", sa.String(length=200), server_default="", nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_backoffice_statements")),
    )
    with op.batch_alter_table("backoffice_statements", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backoffice_statements_last_seen"),
            ["last_seen"],
            unique=False,
        )

    op.create_table(
        "backoffice_slow_statements",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=True),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("total_ms", sa.Float(precision=53), nullable=False),
        sa.Column("wait_ms", sa.Float(precision=53), nullable=False),
        sa.Column("execute_ms", sa.Float(precision=53), nullable=False),
        sa.Column("fetch_ms", sa.Float(precision=53), nullable=False),
        sa.Column("commit_ms", sa.Float(precision=53), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("baseline_ms", sa.Float(precision=53), nullable=True),
        sa.Column("error", sa.String(length=40), server_default="", nullable=False),
        sa.Column("view", sa.String(length=100), server_default="", nullable=False),
        sa.Column("action", sa.String(length=100), server_default="", nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column(
            "actor_label", sa.String(length=200), server_default="", nullable=False
        ),
        sa.Column(
            "request_id", sa.String(length=64), server_default="", nullable=False
        ),
        sa.Column("process", sa.String(length=80), server_default="", nullable=False),
        sa.Column("more", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["fingerprint"],
            ["backoffice_statements.fingerprint"],
            name=op.f(
                "fk_backoffice_slow_statements_fingerprint_backoffice_statements"
            ),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backoffice_slow_statements")),
    )
    with op.batch_alter_table("backoffice_slow_statements", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backoffice_slow_statements_at_id"),
            ["at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_backoffice_slow_statements_fingerprint_at"),
            ["fingerprint", "at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_backoffice_slow_statements_request_id"),
            ["request_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_backoffice_slow_statements_total_ms_id"),
            ["total_ms", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_backoffice_slow_statements_view_at"),
            ["view", "at"],
            unique=False,
        )

    op.create_table(
        "backoffice_statement_hours",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fingerprint", sa.String(length=16), nullable=False),
        sa.Column("view", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("timeouts", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("wait_ns", sa.BigInteger(), nullable=False),
        sa.Column("execute_ns", sa.BigInteger(), nullable=False),
        sa.Column("fetch_ns", sa.BigInteger(), nullable=False),
        sa.Column("commit_ns", sa.BigInteger(), nullable=False),
        sa.Column(
            "histogram",
            sa.JSON().with_variant(
                postgresql.JSONB(astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["fingerprint"],
            ["backoffice_statements.fingerprint"],
            name=op.f(
                "fk_backoffice_statement_hours_fingerprint_backoffice_statements"
            ),
        ),
        sa.PrimaryKeyConstraint(
            "at",
            "fingerprint",
            "view",
            "source",
            name=op.f("pk_backoffice_statement_hours"),
        ),
    )
    with op.batch_alter_table("backoffice_statement_hours", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backoffice_statement_hours_fingerprint_at"),
            ["fingerprint", "at"],
            unique=False,
        )


def downgrade() -> None:
    with op.batch_alter_table("backoffice_statement_hours", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backoffice_statement_hours_fingerprint_at"))

    op.drop_table("backoffice_statement_hours")
    with op.batch_alter_table("backoffice_slow_statements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backoffice_slow_statements_view_at"))
        batch_op.drop_index(batch_op.f("ix_backoffice_slow_statements_total_ms_id"))
        batch_op.drop_index(batch_op.f("ix_backoffice_slow_statements_request_id"))
        batch_op.drop_index(batch_op.f("ix_backoffice_slow_statements_fingerprint_at"))
        batch_op.drop_index(batch_op.f("ix_backoffice_slow_statements_at_id"))

    op.drop_table("backoffice_slow_statements")
    with op.batch_alter_table("backoffice_statements", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backoffice_statements_last_seen"))

    op.drop_table("backoffice_statements")
