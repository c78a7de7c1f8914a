"""Reports of EXPLAIN, and the role that measures where it may be made."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from backoffice.explain.measuring_postgresql import INSTALL, REMOVE

revision = "backoffice_0004_explain_reports"
down_revision = "backoffice_0003_runs_of_actions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backoffice_explain_reports",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=True),
            nullable=False,
        ),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=True),
        sa.Column(
            "actor_label", sa.String(length=200), server_default="", nullable=False
        ),
        sa.Column("view", sa.String(length=100), server_default="", nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("verdict", sa.String(length=500), nullable=False),
        sa.Column("how", sa.String(length=20), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column(
            "content",
            sa.JSON().with_variant(
                postgresql.JSONB(astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backoffice_explain_reports")),
    )
    with op.batch_alter_table("backoffice_explain_reports", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_backoffice_explain_reports_at_id"),
            ["at", "id"],
            unique=False,
        )
    if op.get_context().dialect.name == "postgresql":
        # As it is today: made anew by whatever revision changes it.
        op.execute(sa.text(INSTALL))


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.text(REMOVE))
    with op.batch_alter_table("backoffice_explain_reports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_backoffice_explain_reports_at_id"))

    op.drop_table("backoffice_explain_reports")
