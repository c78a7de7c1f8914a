"""The sizes of all tables by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "backoffice_0006_table_sizes"
down_revision = "backoffice_0005_job_queue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backoffice_table_sizes",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=130), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=True),
        sa.Column("data_size", sa.BigInteger(), nullable=False),
        sa.Column("index_size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("at", "name", name=op.f("pk_backoffice_table_sizes")),
    )


def downgrade() -> None:
    op.drop_table("backoffice_table_sizes")
