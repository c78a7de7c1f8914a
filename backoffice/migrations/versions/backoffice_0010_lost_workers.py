"""Which workers were lost with a run, and when."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "backoffice_0010_lost_workers"
down_revision = "backoffice_0009_rows_of_runs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backoffice_runs", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "lost",
                sa.JSON().with_variant(
                    postgresql.JSONB(astext_type=sa.Text()), "postgresql"
                ),
                server_default="[]",
                nullable=False,
            )
        )


def downgrade() -> None:
    # In place: a trigger of SQLite names this table, so that it cannot be made anew.
    op.drop_column("backoffice_runs", "lost")
