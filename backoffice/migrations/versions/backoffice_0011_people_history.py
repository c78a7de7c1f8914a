"""The history of a person by the account, whatever its name was, and runs by name."""

import sqlalchemy as sa
from alembic import op

revision = "backoffice_0011_people_history"
down_revision = "backoffice_0010_lost_workers"
branch_labels = None
depends_on = None

AUDIT, RUNS = "backoffice_audit", "backoffice_runs"
SINGLE = sa.text("run_id IS NULL")


def upgrade() -> None:
    with op.batch_alter_table(AUDIT, schema=None) as batch_op:
        batch_op.create_index(
            f"ix_{AUDIT}_actor_id_at_single",
            ["actor_id", "at", "id"],
            unique=False,
            postgresql_where=SINGLE,
            sqlite_where=SINGLE,
        )
    with op.batch_alter_table(RUNS, schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f(f"ix_{RUNS}_actor_label_id"), ["actor_label", "id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table(RUNS, schema=None) as batch_op:
        batch_op.drop_index(batch_op.f(f"ix_{RUNS}_actor_label_id"))
    with op.batch_alter_table(AUDIT, schema=None) as batch_op:
        batch_op.drop_index(
            f"ix_{AUDIT}_actor_id_at_single",
            postgresql_where=SINGLE,
            sqlite_where=SINGLE,
        )
