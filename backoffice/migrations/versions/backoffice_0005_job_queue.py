"""Job queue: Procrastinate's tables on PostgreSQL, and when a run's rows went.

Procrastinate 3.10 makes its tables itself, by the SQL that is shipped with it; a later
version of it needs a revision that runs what is shipped for the step.
"""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

from backoffice.errors import MigrationProblem

revision = "backoffice_0005_job_queue"
down_revision = "backoffice_0004_explain_reports"
branch_labels = None
depends_on = None

# Whatever a version has made: tables with their triggers, functions, then types.
REMOVE = r"""
DO $$
DECLARE thing record;
BEGIN
  FOR thing IN SELECT oid::regclass AS name FROM pg_class
    WHERE relkind = 'r' AND relname LIKE 'procrastinate\_%'
    AND relnamespace = current_schema()::regnamespace
  LOOP
    EXECUTE format('DROP TABLE %s CASCADE', thing.name);
  END LOOP;
  FOR thing IN SELECT oid::regprocedure AS name FROM pg_proc
    WHERE proname LIKE 'procrastinate\_%'
    AND pronamespace = current_schema()::regnamespace
  LOOP
    EXECUTE format('DROP FUNCTION %s', thing.name);
  END LOOP;
  FOR thing IN SELECT oid::regtype AS name FROM pg_type
    WHERE typtype IN ('e', 'c') AND typname LIKE 'procrastinate\_%'
    AND typnamespace = current_schema()::regnamespace
  LOOP
    EXECUTE format('DROP TYPE %s', thing.name);
  END LOOP;
END
$$
"""


def upgrade() -> None:
    with op.batch_alter_table("backoffice_runs", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True)
        )
        batch_op.create_index(
            "ix_backoffice_runs_uncleared",
            ["finished_at"],
            unique=False,
            postgresql_where=sa.text("cleared_at IS NULL AND finished_at IS NOT NULL"),
            sqlite_where=sa.text("cleared_at IS NULL AND finished_at IS NOT NULL"),
        )
    if op.get_context().dialect.name == "postgresql":
        _refuse_another_queue()
        # As one statement, for there are connections that prepare each. A script of
        # Alembic's has no tabs; so the functions are the same either way.
        shipped = SchemaManager.get_schema().expandtabs(4)
        op.execute(
            sa.text(
                f"DO $backoffice$ BEGIN EXECUTE $shipped$\n{shipped}\n$shipped$; END "
                "$backoffice$"
            )
        )


def _refuse_another_queue() -> None:
    """What somebody else has made must not be taken for ours, and dropped one day."""
    if op.get_context().as_sql:
        return
    there = sa.text("SELECT to_regclass('procrastinate_jobs') IS NOT NULL")
    if op.get_bind().scalar(there):
        raise MigrationProblem(
            "This database has tables of Procrastinate already, which belong to "
            "another program. Give one of the two a database, or a schema "
            "(search_path), of its own."
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(sa.text(REMOVE))
    with op.batch_alter_table("backoffice_runs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_backoffice_runs_uncleared",
            postgresql_where=sa.text("cleared_at IS NULL AND finished_at IS NOT NULL"),
            sqlite_where=sa.text("cleared_at IS NULL AND finished_at IS NOT NULL"),
        )
        batch_op.drop_column("cleared_at")
