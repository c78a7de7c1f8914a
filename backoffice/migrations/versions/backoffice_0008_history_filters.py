"""The history by person, table and action, with each run as one event."""

import sqlalchemy as sa
from alembic import op

revision = "backoffice_0008_history_filters"
down_revision = "backoffice_0007_slow_log_filters"
branch_labels = None
depends_on = None

AUDIT, RUNS = "backoffice_audit", "backoffice_runs"
SINGLE = sa.text("run_id IS NULL")
NARROWED: tuple[list[str], ...] = ([], ["actor_label"], ["table_name"], ["action"])


def upgrade() -> None:
    with op.batch_alter_table(AUDIT, schema=None) as batch_op:
        for columns in NARROWED:
            batch_op.create_index(
                f"ix_{AUDIT}_{'_'.join([*columns, 'at'])}_single",
                [*columns, "at", "id"],
                unique=False,
                postgresql_where=SINGLE,
                sqlite_where=SINGLE,
            )
        # It held an entry for each row that a run changes, and nobody asks it now.
        batch_op.drop_index(batch_op.f(f"ix_{AUDIT}_at_id"))

    with op.batch_alter_table(RUNS, schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f(f"ix_{RUNS}_created_at_id"), ["created_at", "id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table(RUNS, schema=None) as batch_op:
        batch_op.drop_index(batch_op.f(f"ix_{RUNS}_created_at_id"))

    with op.batch_alter_table(AUDIT, schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f(f"ix_{AUDIT}_at_id"), ["at", "id"], unique=False
        )
        for columns in reversed(NARROWED):
            batch_op.drop_index(
                f"ix_{AUDIT}_{'_'.join([*columns, 'at'])}_single",
                postgresql_where=SINGLE,
                sqlite_where=SINGLE,
            )
