"""The slow log by its errors and by its users, the newest first."""

from alembic import op

revision = "backoffice_0007_slow_log_filters"
down_revision = "backoffice_0006_table_sizes"
branch_labels = None
depends_on = None

TABLE = "backoffice_slow_statements"


def upgrade() -> None:
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        for column in ("actor_label", "error"):
            batch_op.create_index(
                batch_op.f(f"ix_{TABLE}_{column}_at"), [column, "at"], unique=False
            )


def downgrade() -> None:
    with op.batch_alter_table(TABLE, schema=None) as batch_op:
        for column in ("error", "actor_label"):
            batch_op.drop_index(batch_op.f(f"ix_{TABLE}_{column}_at"))
